#!/usr/bin/env python3
"""SIGTERM under load, again and again: every request whose header was sent is answered, nothing is reset, exit 0.

    tests/soak/drain_test.py [--count N]

32 clients ask at once, each on a connection it keeps: some without a pause, some with, some that send the body only
after the signal. A client stops when its connection is closed between two requests or a new one is refused; anything
else that ends without an answer is a loss. A stopping daemon closes connections that were silent for 200 ms, and a
request that crosses this close on the wire meets nobody, as everywhere in HTTP: those are counted apart, when the client
had paused for 150 ms. The second signal must end the process at once.
"""
import argparse
import random
import signal
import threading
import time

import live

CLIENTS, EXIT_S, SECOND_S, SILENT_S = 32, 35, 1, 0.15


class Client(threading.Thread):
    def __init__(self, port, seed, stopping):
        super().__init__()
        self.port, self.source, self.stopping = port, random.Random(seed), stopping
        self.answered, self.lost, self.crossed, self.statuses = 0, [], 0, set()
        self.late_body, self.pause_s = seed % 4 == 1, 0.02 if seed % 4 == 2 else 0

    def exchange(self, connection):
        """One request; False when the daemon closed the connection before it."""
        body = {"model": "sentiment", "input": [live.text_of(self.source, self.source.randint(1, 30))
                                                for _ in range(self.source.choice((1, 1, 4, 40)))]}
        data = live.request("POST", "/v1/classify", body)
        cut = data.find(b"\r\n\r\n") + 4
        paused = time.monotonic() - self.last
        if self.late_body:
            connection.send(data[:cut])
            self.stopping.wait(0.3)
            time.sleep(self.source.random() * 0.2)
            data = data[cut:]
        try:
            connection.send(data)
            answer = connection.answer()
        except live.Refused as e:
            if paused > SILENT_S and "after 0 bytes" in str(e):
                self.crossed += 1
                return False
            raise live.Refused(f"{e}, {paused * 1e3:.0f} ms after the last answer, late body: {self.late_body}") from e
        self.last = time.monotonic()
        self.statuses.add(answer.status)
        self.answered += 1
        return answer.headers.get("connection", "").lower() != "close"

    def run(self):
        while True:
            try:
                connection = live.Connection(self.port, 40)
            except live.Refused:
                return
            self.last = time.monotonic()
            try:
                while self.exchange(connection):
                    time.sleep(self.source.random() * self.pause_s)
            except live.Refused as e:
                self.lost.append(str(e))
            connection.close()


def one_stop(seed):
    daemon = live.Daemon()
    stopping = threading.Event()
    clients = [Client(daemon.port, seed * CLIENTS + i, stopping) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(0.1 + random.Random(seed).random() * 0.2)
    begun = time.monotonic()
    daemon.signal(signal.SIGTERM)
    stopping.set()
    status = daemon.wait(EXIT_S + 10)
    took = time.monotonic() - begun
    for client in clients:
        client.join()
    log = daemon.log()
    daemon.kill()
    return (status, took, sum(c.answered for c in clients), [x for c in clients for x in c.lost],
            sum(c.crossed for c in clients), set().union(*(c.statuses for c in clients)), "level=error" in log or "Sanitizer" in log)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10)
    arguments = parser.parse_args()
    tap = live.Tap()
    stops = [one_stop(seed) for seed in range(arguments.count)]
    lost = [x for stop in stops for x in stop[3]]
    tap.check(all(stop[0] == 0 and not stop[6] for stop in stops),
              f"{len(stops)} stops, exit statuses {sorted({stop[0] for stop in stops}, key=str)}")
    tap.check(not lost, f"{sum(stop[2] for stop in stops)} requests of {CLIENTS} clients answered, {len(lost)} lost, "
              f"{sum(stop[4] for stop in stops)} crossed the close of a silent connection")
    for why in sorted(set(lost)):
        tap.say(f"{lost.count(why)} times: {why}")
    statuses = set().union(*(stop[5] for stop in stops))
    tap.check(statuses == {200}, f"statuses of the answers: {sorted(statuses)}")
    tap.check(max(stop[1] for stop in stops) < EXIT_S, f"a stop takes {live.percentile([s[1] for s in stops], 0.5):.2f} s "
              f"at the median, {max(s[1] for s in stops):.2f} s at most; bound {EXIT_S} s")

    daemon = live.Daemon()
    connection = live.Connection(daemon.port)
    connection.send(live.request("POST", "/v1/classify", {"input": "x"})[:-5])
    time.sleep(0.2)
    daemon.signal(signal.SIGTERM)
    time.sleep(0.5)
    waits = daemon.process.poll() is None
    begun = time.monotonic()
    daemon.signal(signal.SIGTERM)
    daemon.wait()
    took = time.monotonic() - begun
    tap.check(waits and took < SECOND_S, f"the second signal ends it in {took:.3f} s; bound {SECOND_S} s")
    daemon.kill()
    tap.finish()


if __name__ == "__main__":
    main()
