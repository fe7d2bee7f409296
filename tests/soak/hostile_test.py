#!/usr/bin/env python3
"""Every case of hostile.py, and seeded mutations of good requests, against a live daemon.

    tests/soak/hostile_test.py [--mutations N] [--only WORD] [--seed N] [--verbose]
"""
import argparse
import concurrent.futures
import random
import time

import hostile
import live


def mutate(source):
    """A good request or two with a few bytes, lines or lengths changed; what comes back must be answers, none of 500."""
    good = [hostile.post(hostile.BODY), hostile.HEALTH, hostile.chunked(hostile.chunk(hostile.BODY) + b"0\r\n\r\n"),
            hostile.head("GET /v1/models/sentiment HTTP/1.1", "Accept: */*"), hostile.post(hostile.BODY, path="/v1/tokenize"),
            hostile.post(b'{"question":"refund"}', path="/v1/reply"), hostile.head("OPTIONS /v1/rerank HTTP/1.1")]
    data = bytearray(b"".join(source.choice(good) for _ in range(source.randint(1, 3))))
    odd = [b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b",", b";", b"%00", b"..", b"\xff", b"0", b"-", b"\r\n\r\n", b"{", b'"',
           b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n"]
    for _ in range(source.choice((1, 1, 2, 5))):
        at, kind = source.randrange(len(data) + 1), source.randrange(5)
        if kind == 0:
            data[at:at] = source.choice(odd)
        elif kind == 1:
            del data[at:at + source.choice((1, 2, 20))]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << source.randrange(8)
        elif kind == 3:
            lines = bytes(data).split(b"\r\n")
            a, b = source.randrange(len(lines)), source.randrange(len(lines))
            lines[a], lines[b] = lines[b], lines[a] if source.random() < 0.5 else lines[b]
            data = bytearray(b"\r\n".join(lines))
        else:
            data[at:at] = bytes(data[source.randrange(len(data) + 1):][:source.choice((3, 30))])
    return bytes(data)


def run_mutation(port, seed):
    data = mutate(random.Random(seed))
    case = hostile.Case(f"mutation-{seed}", [data, 0.02, "eof"], [], seconds=8)
    connection = live.Connection(port, 8)
    try:
        connection.send(case.steps[0])
        time.sleep(0.01)
        connection.socket.shutdown(1)
        while True:
            connection.more()
    except live.Refused as e:
        ended = str(e)
    except OSError as e:
        ended = str(e)
    connection.close()
    answers, wrong = hostile.split(connection.buffer, True)
    statuses = [a[0] for a in answers]
    allowed = {200, 204, 400, 404, 405, 408, 413, 415, 417, 422, 431, 501, 505}
    if "timed out" in ended:
        return f"no end: {statuses}; {data!r}"
    if not set(statuses) <= allowed:
        return f"{statuses}; {data!r}"
    # The library's own refusals carry the header block twice: only ever as the last thing before a close.
    if wrong and not connection.buffer.rstrip().endswith(b"</html>") and not wrong.startswith("not an answer"):
        return f"{wrong}; {data!r}"
    if len(statuses) > data.count(b"HTTP/1") + data.count(b"\n\r\n") + 1:
        return f"{len(statuses)} answers; {data!r}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    tap = live.Tap()
    daemon = live.Daemon("body_timeout_ms = 5000\n")
    cases = [case for case in hostile.all_cases() if arguments.only in case.name]
    before = daemon.status()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wrong = {}
        for case, problem in zip(cases, pool.map(lambda case: hostile.run(daemon.port, case), cases)):
            if problem:
                wrong[case.name] = problem
            if arguments.verbose:
                tap.say(f"{case.name}: {problem or 'good'}")
        for name, problem in wrong.items():
            tap.say(f"{name}: {problem}")
        tap.check(not wrong, f"{len(cases)} hostile requests, {len(wrong)} answered wrongly")
        seeds = range(arguments.seed, arguments.seed + arguments.mutations)
        problems = {seed: problem for seed, problem in zip(seeds, pool.map(lambda s: run_mutation(daemon.port, s), seeds))
                    if problem}
    for seed, problem in problems.items():
        tap.say(f"seed {seed}: {problem[:600]}")
    tap.check(not problems, f"{len(seeds)} mutated requests, {len(problems)} answered wrongly")
    time.sleep(1)
    after = daemon.status()
    tap.check(after is not None and after["fds"] <= before["fds"] + 2, f"descriptors {before['fds']} before, "
              f"{after and after['fds']} after; memory {before['rss_kb'] // 1024} MB, {after and after['rss_kb'] // 1024} MB")
    answer = live.ask(daemon.port, "POST", "/v1/classify", {"input": "profit rose"})
    tap.check(answer.status == 200, "a good request is answered as before")
    daemon.stop(tap)
    tap.finish()


if __name__ == "__main__":
    main()
