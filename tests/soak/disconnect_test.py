#!/usr/bin/env python3
"""A thousand clients reset their connections while their requests wait: the places are free at once, no batch is wasted.

    tests/soak/disconnect_test.py [--clients N] [--count N]
"""
import argparse
import os
import random
import resource
import time

import live

FREED_MS, WASTE_FROM_MS = 100, 200


def one_round(daemon, n, seed):
    source = random.Random(seed)
    connections = []
    before = daemon.metrics()
    for _ in range(n):
        connections.append(live.Connection(daemon.port))
    for connection in connections:
        connection.send(live.request("POST", "/v1/embeddings", {"model": "heavy", "input": live.text_of(source, 32)}))
    watcher = live.Connection(daemon.port)

    def reading():
        answer = watcher.ask("GET", "/metrics").body.decode()
        return {x.rsplit(" ", 1)[0]: float(x.rsplit(" ", 1)[1]) for x in answer.split("\n") if x and x[0] != "#"}

    queued = reading()["attentd_queue_requests"]
    for connection in connections:
        connection.reset()
    begun, waiting_ms = time.monotonic(), None
    while (now := reading())["attentd_queue_requests"] > 0 and time.monotonic() - begun < 10:
        if waiting_ms is None and now["attentd_queue_sequences"] == 0:
            waiting_ms = (time.monotonic() - begun) * 1e3
        time.sleep(0.002)
    freed_ms = (time.monotonic() - begun) * 1e3
    time.sleep(max(0, begun + WASTE_FROM_MS * 1e-3 - time.monotonic()))
    then = reading()
    time.sleep(1)
    last = reading()
    watcher.close()
    gone = 'attentd_drops_total{reason="client_gone"}'
    return {"queued": queued, "freed_ms": freed_ms, "waiting_ms": freed_ms if waiting_ms is None else waiting_ms, "gone": last[gone] - before[gone],
            "wasted": last["attentd_batch_tokens_count"] - then["attentd_batch_tokens_count"],
            "left": last["attentd_queue_requests"] + last["attentd_queue_tokens"] + last["attentd_body_bytes"],
            "connections": last["attentd_connections"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--count", type=int, default=3)
    arguments = parser.parse_args()
    tap = live.Tap()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    cores = sorted(os.sched_getaffinity(0))
    daemon = live.Daemon("[batching]\nqueue_tokens_max = 16M\n", heavy=True, cpus={cores[0]}, alone=True)
    os.sched_setaffinity(0, {cores[-1]})
    live.prefer()
    rounds = [one_round(daemon, arguments.clients, seed) for seed in range(arguments.count)]
    slack = 10 if live.is_sanitized() else 2
    for figures in rounds:
        tap.say(str(figures))
    tap.check(all(r["queued"] > 0.9 * arguments.clients for r in rounds),
              f"{[int(r['queued']) for r in rounds]} of {arguments.clients} requests waited")
    tap.check(max(r["waiting_ms"] for r in rounds) < FREED_MS * slack and max(r["freed_ms"] for r in rounds) < 3 * FREED_MS
              * slack, f"the places of what waited were free {', '.join('%.0f' % r['waiting_ms'] for r in rounds)} ms after "
              f"the last reset, those of the batch being computed after {', '.join('%.0f' % r['freed_ms'] for r in rounds)} "
              f"ms; bound {FREED_MS} ms")
    tap.check(all(r["gone"] >= 0.8 * r["queued"] for r in rounds), f"{[int(r['gone']) for r in rounds]} counted as gone")
    tap.check(all(r["wasted"] == 0 for r in rounds), f"{[int(r['wasted']) for r in rounds]} batches later than "
              f"{WASTE_FROM_MS} ms; bound 0")
    tap.check(all(r["left"] == 0 and r["connections"] <= 1 for r in rounds), "nothing is left of them")
    daemon.stop(tap)
    tap.finish()


if __name__ == "__main__":
    main()
