#!/usr/bin/env python3
"""The system's clock jumps a year ahead, a year back and by seconds while requests run: no timeout is early, none late.

libfaketime (Debian package libfaketime) moves the daemon's clock; CLOCK_MONOTONIC goes on, as it does in a kernel whose
clock is set. Sources are searched for waits that follow the wrong clock.
"""
import glob
import os
import re
import sys
import threading
import time

import live

LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


def check_sources(tap):
    """Where the wall clock may be read: to print it."""
    allowed = {"core/base/clock.c", "server/watch/log.c", "cli/chat.c"}
    found = set()
    for folder in ("core", "store", "tasks", "server", "cli"):
        for path in glob.glob(os.path.join(live.SOURCE, folder, "**", "*.[ch]"), recursive=True):
            with open(path, encoding="utf-8") as f:
                if re.search(r"CLOCK_REALTIME|\bgettimeofday\s*\(|\btime\(NULL\)|cond_timedwait|sem_timedwait|"
                             r"mutex_timedlock", f.read()):
                    found.add(os.path.relpath(path, live.SOURCE))
    tap.check(found <= allowed, f"the wall clock is read in {sorted(found)} only, no wait follows it")


class Asker(threading.Thread):
    """Asks without a pause; notes every status and the slowest answer."""

    def __init__(self, port):
        super().__init__()
        self.port, self.stopping, self.statuses, self.slowest = port, False, {}, 0

    def run(self):
        connection = live.Connection(self.port)
        while not self.stopping:
            begun = time.monotonic()
            try:
                status = connection.ask("POST", "/v1/classify", {"model": "sentiment", "input": "profit rose",
                                                                 "deadline_ms": 20000}).status
            except live.Refused as e:
                status, connection = str(e), live.Connection(self.port)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.slowest = max(self.slowest, time.monotonic() - begun)


def check_jumps(tap, library):
    control = os.path.join("/tmp", f"attentd-clock-{os.getpid()}")

    def jump(offset):
        with open(control + ".new", "w") as f:
            f.write(offset + "\n")
        os.rename(control + ".new", control)

    jump("+0")
    # A second between answers is allowed here, and two for a header: what ends sooner followed the wrong clock.
    daemon = live.Daemon("header_timeout_ms = 2000\nkeepalive_timeout_ms = 30000\n", env={
        "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": control, "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"})
    idle = live.Connection(daemon.port)
    created = idle.ask("POST", "/v1/classify", {"input": "x"}).json()["created"]
    askers = [Asker(daemon.port) for _ in range(4)]
    for asker in askers:
        asker.start()
    years = []
    for offset in ("+1y", "-1y", "+0", "+1", "-1", "+1", "-1", "+1y"):
        jump(offset)
        time.sleep(0.5)
        years.append((live.ask(daemon.port, "POST", "/v1/classify", {"input": "x"}).json()["created"] - created) / 31536000)
        late = live.Connection(daemon.port, 10)
        late.send(b"GET /healthz HTTP/1.1\r\n")
        begun = time.monotonic()
        if offset in ("+1y", "-1y"):
            jump("-1y" if offset == "+1y" else "+1y")
            status = late.answer().status
            took = time.monotonic() - begun
            tap.check(status == 408 and 1.5 < took < 4, f"after {offset} a header without an end is refused after "
                      f"{took:.2f} s with {status}; set: 2 s")
        late.close()
    for asker in askers:
        asker.stopping = True
    for asker in askers:
        asker.join()
    statuses = {}
    for asker in askers:
        for status, n in asker.statuses.items():
            statuses[status] = statuses.get(status, 0) + n
    tap.check(max(years) > 0.9 and min(years) < -0.9, f"the daemon saw its clock at {min(years):+.1f} to {max(years):+.1f} "
              "years")
    tap.check(set(statuses) == {200}, f"answers during the jumps: {statuses}, the slowest after "
              f"{max(a.slowest for a in askers):.2f} s")
    tap.check(idle.ask("GET", "/healthz").status == 200, "a connection kept since before them is still good")
    daemon.stop(tap)
    os.unlink(control)


def main():
    tap = live.Tap()
    check_sources(tap)
    library = next((x for x in LIBRARIES if os.path.exists(x)), None)
    if library is None or live.is_sanitized():
        tap.skip("jumps", "no libfaketime, or a sanitizer that cannot be preloaded after it")
    else:
        check_jumps(tap, library)
    tap.finish()


if __name__ == "__main__":
    sys.exit(main())
