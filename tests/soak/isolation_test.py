#!/usr/bin/env python3
"""What else is in the batch changes no bit of an answer: random mixes of requests, against the same asked alone.

    tests/soak/isolation_test.py [--count N]

Embeddings are compared as bytes (base64), the other answers as text without ids and times.
"""
import argparse
import random
import re
import threading

import live

CLIENTS = 16


def make_request(source):
    words = lambda most: live.text_of(source, source.choice((1, 2, source.randint(1, most))))
    kind = source.randrange(6)
    if kind <= 2:
        model = source.choice(("encoder", "heavy", "heavy"))
        texts = [words(40) for _ in range(source.choice((1, 1, 2, 8)))]
        return "/v1/embeddings", {"model": model, "input": texts, "encoding_format": "base64"}
    if kind == 3:
        return "/v1/classify", {"model": "sentiment", "input": [words(25) for _ in range(source.choice((1, 5)))],
                                "explain": source.choice(("none", "attention"))}
    if kind == 4:
        return "/v1/rerank", {"model": "heavy", "query": words(8), "documents": [words(20) for _ in range(4)]}
    return "/v1/recommend", {"history": [{"item": str(source.randrange(40))} for _ in range(source.randint(1, 20))],
                             "top_k": source.randint(1, 20)}


def bare(answer):
    """Status and body, without what differs from one time to the next."""
    text = re.sub(rb'"id":"(emb|cls|rnk|rec)-[^"]*"|"created":\d+|"timing_ms":\{[^}]*\}', b"", answer.body)
    return answer.status, text


class Client(threading.Thread):
    def __init__(self, port, requests, expected, seed, n):
        super().__init__()
        self.port, self.requests, self.expected, self.n = port, requests, expected, n
        self.source, self.same, self.different = random.Random(seed), 0, []

    def run(self):
        connection = live.Connection(self.port)
        for _ in range(self.n):
            i = self.source.randrange(len(self.requests))
            path, body = self.requests[i]
            answer = bare(connection.ask("POST", path, body))
            if answer == self.expected[i]:
                self.same += 1
            else:
                self.different.append((path, str(body)[:200], answer[0]))
        connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    arguments = parser.parse_args()
    tap = live.Tap()
    daemon = live.Daemon(heavy=True)
    source = random.Random(11)
    requests = [make_request(source) for _ in range(200)]
    connection = live.Connection(daemon.port)
    expected = [bare(connection.ask("POST", path, body)) for path, body in requests]
    tap.check(all(status == 200 for status, _ in expected), f"{len(requests)} different requests are answered alone")
    before = daemon.metrics()
    clients = [Client(daemon.port, requests, expected, i, arguments.count // CLIENTS) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    after = daemon.metrics()
    same, different = sum(c.same for c in clients), [x for c in clients for x in c.different]
    n_batches = after["attentd_batch_tokens_count"] - before["attentd_batch_tokens_count"]
    n_sequences = after["attentd_sequences_total"] - before["attentd_sequences_total"]
    tap.check(n_sequences > 2 * n_batches > 0, f"{n_sequences:.0f} sequences ran in {n_batches:.0f} batches")
    tap.check(same == arguments.count // CLIENTS * CLIENTS and not different,
              f"{same} answers of {CLIENTS} clients at once are the same bit for bit, {len(different)} are not")
    for what in different[:10]:
        tap.say(str(what))
    daemon.stop(tap)
    tap.finish()


if __name__ == "__main__":
    main()
