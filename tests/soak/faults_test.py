#!/usr/bin/env python3
"""System calls that fail now and then, injected by strace into a daemon at work: it lives, and answers as before once
they succeed again.

Left out: epoll_ctl, since the kernel cannot refuse to take a descriptor out of a set, and libmicrohttpd ends the process
if it did; fcntl, since SQLite waits for locks that it could not give back.

    tests/soak/faults_test.py [--seconds N]      N of each fault
"""
import argparse
import os
import random
import shutil
import subprocess
import threading
import time

import live

FAULTS = [("recvfrom", "ECONNRESET EINTR EAGAIN ENOMEM EIO"), ("sendto,sendmsg,writev", "EPIPE ECONNRESET EAGAIN EINTR ENOBUFS"),
          ("accept4", "EMFILE ENFILE ECONNABORTED EINTR ENOMEM EPROTO EPERM EINVAL"), ("epoll_wait", "EINTR EINVAL"),
          ("mmap,brk,mremap", "ENOMEM"), ("munmap,madvise", "ENOMEM"),
          ("openat", "EMFILE EIO ENOENT"), ("read", "EIO EINTR"), ("write", "EIO ENOSPC EINTR EAGAIN"),
          ("fdatasync,fsync", "EIO ENOSPC"), ("pwrite64", "EIO ENOSPC"), ("pread64", "EIO"), ("ftruncate", "EIO"),
          ("getsockopt,setsockopt,ioctl", "ENOBUFS ENOTSOCK"), ("shutdown,dup", "EMFILE ENOTCONN")]


class Asker(threading.Thread):
    """Asks all kinds of things, on new and on kept connections, whatever comes back."""

    def __init__(self, port, seed):
        super().__init__()
        self.port, self.source, self.stopping, self.answered, self.broken = port, random.Random(seed), False, 0, 0

    def run(self):
        connection = None
        while not self.stopping:
            kind = self.source.randrange(6)
            try:
                connection = connection or live.Connection(self.port, 0.5)
                if kind == 0:
                    connection.ask("PUT", f"/v1/kb/default/entries/{self.source.randrange(9)}",
                                   {"question": live.text_of(self.source, 5), "answer": "a" * 4000})
                elif kind == 1:
                    connection.ask("GET", "/metrics")
                elif kind == 2:
                    connection.ask("POST", "/v1/reply", {"question": live.text_of(self.source, 5)})
                else:
                    connection.ask("POST", "/v1/classify", {"input": [live.text_of(self.source, 9)] * 20})
                self.answered += 1
                if kind > 3:
                    connection.close()
                    connection = None
            except (live.Refused, OSError, ValueError):
                self.broken += 1
                if connection:
                    connection.close()
                connection = None
                time.sleep(0.01)


def inject(daemon, calls, error, seconds):
    """True when strace could do it."""
    strace = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(daemon.pid), "-e", f"trace={calls}", "-e",
                               f"inject={calls}:error={error}:when=3+3"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    strace.terminate()
    try:
        said = strace.communicate(timeout=10)[1]
    except subprocess.TimeoutExpired:
        strace.kill()
        said = strace.communicate()[1]
    return not any(x in said for x in ("ermitted", "Invalid", "invalid"))


def recovers(daemon):
    for _ in range(50):
        try:
            if live.ask(daemon.port, "POST", "/v1/classify", {"input": "profit rose"}).status == 200:
                return True
        except (live.Refused, ValueError):
            pass
        time.sleep(0.1)
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    tap = live.Tap()
    daemon = live.Daemon("keepalive_timeout_ms = 3000\n")
    works = shutil.which("strace") and not live.is_sanitized() and inject(daemon, "getcwd", "EIO", 0.5)
    if not works:
        tap.skip("failing system calls", "no strace, no permission to trace, or a sanitizer, which is itself traced")
        daemon.kill()
        tap.finish()
    askers = [Asker(daemon.port, i) for i in range(4)]
    for asker in askers:
        asker.start()
    for calls, errors in FAULTS:
        for error in errors.split():
            if arguments.only not in calls:
                continue
            before = sum(a.answered for a in askers), sum(a.broken for a in askers)
            inject(daemon, calls, error, arguments.seconds)
            dead = daemon.process.poll()
            good = dead is None and recovers(daemon)
            tap.check(good, f"{calls} fails with {error}: {sum(a.answered for a in askers) - before[0]} answered, "
                      f"{sum(a.broken for a in askers) - before[1]} broken off; "
                      + ("good afterwards" if good else f"dead: {dead}" if dead is not None else "it does not recover"))
            if dead is not None:
                tap.say(daemon.log()[-600:].replace("\n", "\n# "))
                daemon.kill()
                daemon = live.Daemon("keepalive_timeout_ms = 3000\n")
                for asker in askers:
                    asker.port = daemon.port
    for asker in askers:
        asker.stopping = True
    for asker in askers:
        asker.join()
    time.sleep(10)  # the longest that a connection can live which shutdown could not end
    status, connections = daemon.status(), daemon.metrics()["attentd_connections"]
    tap.check(connections <= 1 and status["fds"] < 40, f"{connections:.0f} connections and {status['fds']} descriptors are left")
    daemon.signal(15)
    exit_status = daemon.wait()
    tap.check(exit_status == 0, f"the daemon ends with status {exit_status}")
    daemon.kill()
    tap.finish()


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
