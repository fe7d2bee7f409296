#!/usr/bin/env python3
"""Ten times the load that the daemon can serve: what it cannot take is refused at once with 429 or 503 and Retry-After,
what it does is as much as without the overload, and its memory stays bounded.

    tests/soak/overload_test.py [--seconds N]

The daemon has core 0, the client core 1. All requests cost the same, so that a queue that prefers short ones gains
nothing, and are as long as a paragraph: a refusal costs about 0.1 ms of the same core, so that with requests of 2 ms ten
times as many refusals would take half of it. Capacity is measured before and after, with 64 clients in a closed loop; the goodput is compared with the mean.
"""
import argparse
import os
import random
import threading
import time

import live

REFUSAL_MS, GOODPUT, RSS_MB = 10, 0.95, 64
NOISE = 0.9  # of the goodput's bound: other processes share the two cores


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    tap = live.Tap()
    cores = sorted(os.sched_getaffinity(0))
    daemon = live.Daemon(heavy=True, cpus={cores[0]}, alone=True)
    client = cores[-1]
    source = random.Random(1)
    bodies = [{"model": "heavy", "input": live.text_of(source, 40)} for _ in range(64)]
    load = lambda seconds, **more: live.run_load(daemon.port, "/v1/embeddings", bodies, seconds, cpu=client, **more)

    load(1, clients=8)
    before = load(6, clients=64)
    rss_before, peak, over = daemon.status()["rss_kb"], 0, False

    def watch():
        nonlocal peak
        while not over:
            peak = max(peak, daemon.status()["rss_kb"])
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    during = load(arguments.seconds, clients=3000, rate=10 * before["rps"])
    over = True
    watcher.join()
    # What is still queued is dropped when its clients are gone, at the next batches.
    time.sleep(1)
    after = load(6, clients=64)
    tap.say(f"before {before}")
    tap.say(f"during {during}")
    tap.say(f"after {after}")

    refused = during["4xx"]["n"] + during["5xx"]["n"]
    others = {k: v for k, v in during["status"].items() if k not in ("200", "429", "503")}
    capacity = (before["rps"] + after["rps"]) / 2
    slack = 10 if live.is_sanitized() else 1
    tap.check(during["arrived"] > 8 * before["rps"] * arguments.seconds,
              f"{during['arrived'] / during['seconds']:.0f} requests/s arrive at a capacity of {before['rps']:.1f}")
    tap.check(during["lateness"]["p99_ms"] < 5 * slack, f"the client itself is late by {during['lateness']['p99_ms']} ms "
              f"at the 99th percentile, with {during['cpu']:.0%} of its core")
    tap.check(refused > 0 and not others and during["retry_after"] == refused,
              f"{refused} refused, {during['retry_after']} with Retry-After; other answers: {others}")
    tap.check(during["lost"] + during["refused"] + during["late"] == 0,
              f"{during['lost']} connections lost, {during['refused']} refused, {during['late']} without an answer")
    p99 = during["4xx"].get("p99_ms", 0)
    tap.check(p99 < REFUSAL_MS * slack, f"refusals take {during['4xx'].get('p50_ms')} ms at the median, {p99} ms at the "
              f"99th percentile, at most {during['4xx'].get('max_ms')} ms; bound {REFUSAL_MS} ms")
    goodput = during["rps"] / capacity
    tap.check(goodput > GOODPUT * NOISE, f"goodput {during['rps']:.1f} requests/s, {goodput:.1%} of the capacity "
              f"({before['rps']:.1f} before, {after['rps']:.1f} after); bound {GOODPUT:.0%}")
    tap.check((peak - rss_before) / 1024 < RSS_MB * slack,
              f"memory {rss_before / 1024:.0f} MB before, {peak / 1024:.0f} MB at most; bound {RSS_MB} MB more")
    daemon.stop(tap)
    tap.finish()


if __name__ == "__main__":
    main()
