#!/usr/bin/env python3
"""Mixed load for as long as one likes: every endpoint, all sizes, wrong requests among them, the hostile requests every
minute, SIGHUP every five, clients that leave. Memory, descriptors and threads are read every second.

    tests/soak/mixed_test.py [--minutes N] [--csv FILE]

Nothing may crash, no good request may fail, no answer may be a 500; after a warm-up memory must not grow, and descriptors
and threads must be as many at the end as then.
"""
import argparse
import concurrent.futures
import random
import signal
import threading
import time

import hostile
import live

SLOPE_MB_H, CLIENTS = 1.0, 6


def make_request(source):
    """(method, path, body, statuses)."""
    words = lambda most=20: live.text_of(source, source.choice((1, 3, source.randint(1, most))))
    many = lambda most, most_words=20: [words(most_words) for _ in range(source.choice((1, 2, source.randint(1, most))))]
    entry = lambda: {"question": words(), "answer": words(60), "alternates": many(4), "metadata": {"topic": words(1)}}
    makers = (
        lambda: ("POST", "/v1/classify", {"input": many(60), "explain": source.choice(("none", "attention"))}),
        lambda: ("POST", "/v1/classify", {"input": live.text_of(source, 900), "windows": {"aggregate": "mean"}}),
        lambda: ("POST", "/v1/embeddings", {"model": source.choice(("encoder", "heavy")), "input": many(8)}),
        lambda: ("POST", "/v1/rerank", {"query": words(), "documents": many(20), "return_documents": True}),
        lambda: ("POST", "/v1/reply", {"question": words(), "top": source.randint(1, 5)}),
        lambda: ("POST", "/v1/recommend", {"history": [{"item": str(source.randrange(60))} for _ in range(source.randint(0, 90))],
                                           "top_k": source.randint(1, 50), "diversity": source.choice((0, 0.5))}),
        lambda: ("POST", "/v1/tokenize", {"model": "encoder", "input": many(30, 200)}),
        lambda: ("POST", "/v1/classify", {"input": many(400), "priority": "bulk"}),
        lambda: ("PUT", f"/v1/kb/default/entries/{source.randrange(1, 60)}", entry()),
        lambda: ("DELETE", f"/v1/kb/default/entries/{source.randrange(1, 60)}", None),
        lambda: ("GET", "/v1/kb/default/entries", None), lambda: ("GET", "/v1/models", None),
        lambda: ("GET", "/v1/models/heavy", None), lambda: ("GET", "/metrics", None), lambda: ("GET", "/readyz", None),
    )
    wrong = (
        lambda: ("POST", "/v1/classify", b'{"input":' + source.randbytes(20), {400}),
        lambda: ("POST", "/v1/classify", {"input": words(), "typo": 1}, {422}),
        lambda: ("POST", "/v1/embeddings", {"model": "none", "input": words()}, {404}),
        lambda: ("POST", "/v1/classify", {"input": ["x"] * 5000}, {413}), lambda: ("GET", "/v1/nothing", None, {404}),
        lambda: ("POST", "/v1/classify", {"input": many(400), "deadline_ms": 1}, {200, 504}),
    )
    if source.random() < 0.1:
        return source.choice(wrong)()
    method, path, body = source.choice(makers)()
    return method, path, body, {200, 404} if method == "DELETE" else {200}


class Client(threading.Thread):
    def __init__(self, daemon, seed):
        super().__init__()
        self.daemon_, self.source, self.stopping = daemon, random.Random(seed), False
        self.answered, self.failed, self.refused, self.left = 0, [], 0, 0

    def run(self):
        connection = None
        while not self.stopping:
            method, path, body, statuses = make_request(self.source)
            try:
                connection = connection or live.Connection(self.daemon_.port, 60)
                if self.source.random() < 0.03:
                    connection.send(live.request(method, path, body)[:self.source.choice((50, None))])
                    connection.reset()
                    connection, self.left = None, self.left + 1
                    continue
                answer = connection.ask(method, path, body)
            except live.Refused as e:
                self.failed.append(f"{method} {path}: {e}")
                connection = None
                time.sleep(0.1)
                continue
            if answer.status == 429:
                self.refused += 1
            elif answer.status not in statuses:
                self.failed.append(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
            self.answered += 1
            if answer.headers.get("connection", "").lower() == "close" or self.source.random() < 0.02:
                connection.close()
                connection = None


def run_hostile(daemon, cases, stopping, wrong):
    """All cases once, with a few at a time."""
    def one(case):
        if stopping():
            return
        try:
            problem = hostile.run(daemon.port, case)
        except OSError as e:
            problem = str(e)
        if problem:
            wrong.append(f"{case.name}: {problem}")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one, cases))


def slope_mb_h(samples):
    """Least squares over (seconds, kB)."""
    n = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / n, sum(y for _, y in samples) / n
    return (sum((x - mean_x) * (y - mean_y) for x, y in samples) / sum((x - mean_x) ** 2 for x, _ in samples)) * 3600 / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--csv", help="the samples of every second")
    arguments = parser.parse_args()
    tap = live.Tap()
    daemon = live.Daemon(heavy=True)
    # The long waits are hostile_test.py's; what costs seconds each would be most of a minute here.
    cases = [case for case in hostile.all_cases() if case.name != "chunk-2-gib"]
    clients, wrong, rounds = [Client(daemon, i) for i in range(CLIENTS)], [], 0
    seconds, samples, over = arguments.minutes * 60, [], False
    begun = time.monotonic()

    def keep_hostile():
        nonlocal rounds
        while not over:
            started = time.monotonic()
            run_hostile(daemon, cases, lambda: over, wrong)
            rounds += not over
            while not over and time.monotonic() - started < 60:
                time.sleep(0.2)

    hostile_thread = threading.Thread(target=keep_hostile)
    for thread in [*clients, hostile_thread]:
        thread.start()
    hups = 0
    while time.monotonic() - begun < seconds and (status := daemon.status()):
        samples.append((time.monotonic() - begun, status))
        if (time.monotonic() - begun) / 300 > hups:
            daemon.signal(signal.SIGHUP)
            hups += 1
        time.sleep(1)
    over = True
    for client in clients:
        client.stopping = True
    for thread in [*clients, hostile_thread]:
        thread.join()
    time.sleep(3)
    last = daemon.status()
    tap.check(last is not None and daemon.process.poll() is None, f"alive after {arguments.minutes:g} minutes")
    failed = [x for client in clients for x in client.failed]
    tap.check(not failed, f"{sum(c.answered for c in clients)} requests answered, {sum(c.refused for c in clients)} with 429, "
              f"{sum(c.left for c in clients)} left, {len(failed)} failed")
    for why in failed[:20]:
        tap.say(why[:300])
    tap.check(not wrong, f"{rounds} rounds of {len(cases)} hostile requests, {len(wrong)} answered wrongly; {hups} SIGHUP")
    for why in wrong[:20]:
        tap.say(why[:300])
    if last is not None:
        judge_samples(tap, samples, last, seconds)
        metrics = daemon.metrics()
        left = {k: v for k, v in metrics.items() if k in ("attentd_queue_requests", "attentd_queue_tokens", "attentd_queue_bytes",
                "attentd_body_bytes") and v}
        tap.check(not left and not any('status="500"' in k for k in metrics), f"nothing is queued ({left}), no answer was a 500")
    if arguments.csv:
        with open(arguments.csv, "w") as f:
            f.write("seconds,rss_kb,fds,threads,cpu_s\n")
            f.writelines(f"{x:.1f},{s['rss_kb']},{s['fds']},{s['threads']},{s['cpu_s']}\n" for x, s in samples)
    daemon.stop(tap)
    tap.finish()


def judge_samples(tap, samples, last, seconds):
    warm = [s for s in samples if s[0] > min(1800, seconds / 2)]
    rss = [s["rss_kb"] / 1024 for _, s in warm]
    slope = slope_mb_h([(x, s["rss_kb"]) for x, s in warm])
    # A short run says nothing by the hour: there the two quarters after the warm-up are compared.
    half = len(warm) // 2
    early, late = max(rss[:half]), max(rss[half:])
    good = slope < SLOPE_MB_H if seconds >= 3600 else late < early * 1.05 + 8 * (10 if live.is_sanitized() else 1)
    tap.check(good, f"memory {rss[0]:.1f} MB after the warm-up, {max(rss):.1f} MB at most, {rss[-1]:.1f} MB at the end; slope "
              f"{slope:+.2f} MB/h over {warm[-1][0] - warm[0][0]:.0f} s; bound {SLOPE_MB_H} MB/h over hours")
    tap.check(last["threads"] == samples[-1][1]["threads"] == warm[0][1]["threads"],
              f"threads {warm[0][1]['threads']} after the warm-up, {last['threads']} at the end")
    tap.check(last["fds"] <= samples[0][1]["fds"] + 3, f"descriptors {samples[0][1]['fds']} at the start, "
              f"{max(s['fds'] for _, s in warm)} at most, {last['fds']} at the end")


if __name__ == "__main__":
    main()
