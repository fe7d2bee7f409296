#!/usr/bin/env python3
"""Thousands of clients that dribble or idle: they cost little memory, slow nobody else, and the slow ones are dropped.

    tests/soak/slow_test.py [--dribbling N] [--idle N]

Timeouts are the default ones. Half of the dribbling clients send a byte of a header now and then, half of a body.
"Normal" is a request to the small model, 200 a second on connections of their own, timed by tests/soak/load.c.
"""
import argparse
import os
import random
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time

import live

DROPPED_S, DRIBBLE_MB, IDLE_MB = 30, 64, 100
NOISE_MS = 5  # of two p99 from a machine that others use too


def p99(daemon, bodies, seconds, cpu):
    """99th percentile and median in ms, and how many failed; the best of three windows, since whatever else this machine
    does can only add to them."""
    windows = [live.run_load(daemon.port, "/v1/classify", bodies, seconds / 3, clients=32, rate=200, cpu=cpu)
               for _ in range(3)]
    failed = sum(f["arrived"] - f["status"].get("200", 0) - f["busy"] for f in windows)
    return min(f["2xx"]["p99_ms"] for f in windows), min(f["2xx"]["p50_ms"] for f in windows), failed


class Dribbler(threading.Thread):
    """n connections, each sending a byte every `pause_s`, until the daemon has closed them all."""

    def __init__(self, port, n, pause_s):
        super().__init__()
        self.port, self.n, self.pause_s = port, n, pause_s
        self.lived, self.answers, self.open = [], {}, 0

    def run(self):
        header = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 4000
        body = live.request("POST", "/v1/classify", {"input": "z" * 4000})
        cut = body.find(b"\r\n\r\n") + 4
        selector, pending = selectors.EpollSelector(), {}
        for i in range(self.n):
            sock = socket.create_connection(("127.0.0.1", self.port))
            sock.setblocking(False)
            if i % 2:
                sock.send(body[:cut])
            pending[sock] = [time.monotonic(), cut if i % 2 else 0, body if i % 2 else header]
            selector.register(sock, selectors.EVENT_READ)
            self.open += 1
        turn, next_s = list(pending), time.monotonic()
        at = 0
        while pending and time.monotonic() - next_s < 90:
            for key, _ in selector.select(0.01):
                sock = key.fileobj
                try:
                    data = sock.recv(4096)
                except ConnectionResetError:
                    data = b"reset"
                if sock not in pending:
                    continue
                status = data[9:12].decode() if data.startswith(b"HTTP") else data.decode("latin-1") or "closed"
                self.answers[status] = self.answers.get(status, 0) + 1
                self.lived.append(time.monotonic() - pending.pop(sock)[0])
                selector.unregister(sock)
                sock.close()
                self.open -= 1
            due = int((time.monotonic() - next_s) / self.pause_s * self.n)
            for sock in turn[at % self.n:at % self.n + min(due - at, 200)]:
                if sock in pending:
                    state = pending[sock]
                    try:
                        sock.send(state[2][state[1]:state[1] + 1])
                    except OSError:
                        pass
                    state[1] += 1
            at += min(due - at, 200)


def dribbling(tap, n, cpu):
    daemon = live.Daemon("connections_max = 20000\n", alone=True)
    bodies = [{"model": "sentiment", "input": live.text_of(random.Random(i), 12)} for i in range(64)]
    p99(daemon, bodies, 2, cpu)
    rss = daemon.status()["rss_kb"]
    before, median, _ = p99(daemon, bodies, 9, cpu)
    dribbler = Dribbler(daemon.port, n, 2)
    dribbler.start()
    while dribbler.open < n and dribbler.is_alive():
        time.sleep(0.05)
    during, during_median, failed = p99(daemon, bodies, 6, cpu)
    peak, still_open = daemon.status()["rss_kb"], dribbler.open
    dribbler.join()
    tap.check(still_open > 0.9 * n and during < 2 * before + 5 + NOISE_MS,
              f"{still_open} dribbling clients: a normal request takes {during:.2f} ms at the 99th percentile, "
              f"{before:.2f} without (medians {during_median:.2f}, {median:.2f}); bound 2 x + 5 ms")
    tap.check(failed == 0, f"{failed} normal requests failed beside them")
    tap.check(len(dribbler.lived) == n and max(dribbler.lived) < DROPPED_S,
              f"{len(dribbler.lived)} of {n} dropped, the last after {max(dribbler.lived, default=0):.1f} s; "
              f"bound {DROPPED_S} s; answers {dribbler.answers}")
    tap.check((peak - rss) / 1024 < DRIBBLE_MB, f"{(peak - rss) / 1024:.1f} MB more; bound {DRIBBLE_MB} MB")
    time.sleep(1)
    tap.check(daemon.metrics()["attentd_connections"] <= 1, "no connection is left")
    daemon.stop(tap)


def hold_idle(port, n):
    """A process of its own, since descriptors are counted by process: opens n connections, asks on each, waits."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    kept = []
    for _ in range(n):
        connection = live.Connection(port)
        if connection.ask("GET", "/healthz").status != 200:
            raise SystemExit("no answer")
        kept.append(connection)
    print("open", flush=True)
    sys.stdin.read()


def idling(tap, n, cpu):
    daemon = live.Daemon("connections_max = 20000\nkeepalive_timeout_ms = 300000\n", alone=True)
    bodies = [{"model": "sentiment", "input": live.text_of(random.Random(i), 12)} for i in range(64)]
    p99(daemon, bodies, 2, cpu)
    before, median, _ = p99(daemon, bodies, 12, cpu)
    rss = daemon.status()["rss_kb"]
    holder = subprocess.Popen([sys.executable, __file__, "--hold", str(daemon.port), str(n)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    said = holder.stdout.readline().strip()
    during, during_median, failed = p99(daemon, bodies, 12, cpu)
    status, n_open = daemon.status(), daemon.metrics()["attentd_connections"]
    idle_from = daemon.status()["cpu_s"]
    time.sleep(3)
    idle_cpu = (daemon.status()["cpu_s"] - idle_from) / 3
    tap.check(said == "open" and n_open >= n, f"{n_open - 1:.0f} idle connections are open, {status['fds']} descriptors")
    tap.check((status["rss_kb"] - rss) / 1024 < IDLE_MB * n / 10000 + 10,
              f"{(status['rss_kb'] - rss) / 1024:.1f} MB more; bound {IDLE_MB} MB for 10,000")
    tap.check(failed == 0 and during < before * 1.1 + NOISE_MS,
              f"a normal request takes {during:.2f} ms at the 99th percentile, {before:.2f} without (medians "
              f"{during_median:.2f}, {median:.2f}), {failed} failed; bound + 10 %")
    tap.check(idle_cpu < 0.1, f"{idle_cpu:.1%} of a core while nothing happens; bound 10 %")
    holder.kill()
    holder.wait()
    time.sleep(2)
    status = daemon.status()
    tap.check(status["fds"] < 60, f"{status['fds']} descriptors once they have left")
    daemon.stop(tap)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dribbling", type=int, default=2000)
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--hold", nargs=2, type=int)
    arguments = parser.parse_args()
    if arguments.hold:
        return hold_idle(*arguments.hold)
    tap = live.Tap()
    cpu = sorted(os.sched_getaffinity(0))[-1]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = most if most != resource.RLIM_INFINITY else 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    dribbling(tap, min(arguments.dribbling, most - 200), cpu)
    idling(tap, min(arguments.idle, most - 200), cpu)
    tap.finish()


if __name__ == "__main__":
    main()
