#!/usr/bin/env python3
"""A daemon without descriptors: it waits quietly, and accepts again as soon as there are some.

    tests/soak/descriptors_test.py [--count N]

The limit is 64; more clients connect than that, each of which holds its connection.
"""
import argparse
import time

import live

LIMIT, CLIENTS, CPU, BACK_S = 64, 100, 0.05, 1.0


def one_round(daemon):
    """CPU share while there are none, and seconds until a waiting client is answered once there are."""
    held = []
    for _ in range(CLIENTS):
        connection = live.Connection(daemon.port, 10)
        connection.send(b"GET /healthz HTTP/1.1\r\n")
        held.append(connection)
    time.sleep(0.5)
    fds, cpu = daemon.status()["fds"], daemon.status()["cpu_s"]
    time.sleep(3)
    cpu = (daemon.status()["cpu_s"] - cpu) / 3
    waiting = live.Connection(daemon.port, 10)
    waiting.send(live.request("GET", "/healthz"))
    for connection in held:
        connection.close()
    begun = time.monotonic()
    status = waiting.answer().status
    back = time.monotonic() - begun
    waiting.close()
    return fds, cpu, back, status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2)
    arguments = parser.parse_args()
    tap = live.Tap()
    daemon = live.Daemon("header_timeout_ms = 60000\n", files=LIMIT)
    rounds = [one_round(daemon) for _ in range(arguments.count)]
    slack = 4 if live.is_sanitized() else 1
    tap.check(all(r[0] > LIMIT - 4 for r in rounds), f"{[r[0] for r in rounds]} of {LIMIT} descriptors are in use")
    tap.check(max(r[1] for r in rounds) < CPU * slack, f"at most {max(r[1] for r in rounds):.1%} of a core meanwhile; "
              f"bound {CPU:.0%}")
    tap.check(all(r[3] == 200 for r in rounds) and max(r[2] for r in rounds) < BACK_S * slack,
              f"a client that waited is answered {max(r[2] for r in rounds) * 1e3:.0f} ms after the others left; "
              f"bound {BACK_S:.0f} s")
    answer = live.ask(daemon.port, "POST", "/v1/classify", {"input": "profit rose"})
    tap.check(answer.status == 200, "work is done as before")
    daemon.stop(tap)
    tap.finish()


if __name__ == "__main__":
    main()
