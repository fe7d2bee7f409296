#!/usr/bin/env python3
"""Reloads under load: good ones and bad ones, with requests beside them that must not notice.

    tests/soak/reload_test.py [--good N] [--bad N]

Good: the files of a model of MiniLM's size are replaced and SIGHUP sent, or the admin socket asked, N times, under a
closed loop of clients. No request fails; the slowest percent takes at most four times as long as without reloads;
memory comes back. Bad: N malformed versions of the same model, one after the other, beside 50 requests a second; the
old one serves on with the same bits.
"""
import argparse
import json
import os
import random
import signal
import socket
import threading
import time

import live

CLIENTS, RATE, RSS_SHARE = 4, 50, 0.05


def reload_by_socket(daemon):
    """POST .../reload on the admin socket; the status."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(os.path.join(daemon.folder, "admin.sock"))
        s.sendall(b"POST /v1/models/heavy/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    return int(answer.split()[1])


def replace(path, content):
    with open(path + ".new", "wb") as f:
        f.write(content)
    os.rename(path + ".new", path)


def hang_up(daemon, event):
    """SIGHUP, and wait until the log says what came of it."""
    seen = daemon.log().count(event)
    daemon.signal(signal.SIGHUP)
    for _ in range(6000):
        if daemon.log().count(event) > seen:
            return True
        time.sleep(0.01)
    return False


def settled_rss(daemon):
    """MiB, when it has not changed for a moment."""
    last = daemon.status()["rss_kb"]
    for _ in range(50):
        time.sleep(0.2)
        now = daemon.status()["rss_kb"]
        if abs(now - last) < 256:
            break
        last = now
    return now / 1024


class Background(threading.Thread):
    def __init__(self, work):
        super().__init__()
        self.work, self.result = work, None

    def run(self):
        self.result = self.work()


def load_for(daemon, bodies, seconds, rate=0):
    return live.run_load(daemon.port, "/v1/embeddings", bodies, seconds, clients=CLIENTS, rate=rate)


def outcome(figures):
    """Requests that were answered, and those that failed in any way."""
    answered = sum(sum(x["status"].values()) for x in figures)
    good = sum(x["status"].get("200", 0) for x in figures)
    return answered, answered - good + sum(x["lost"] + x["refused"] + x["late"] for x in figures)


def good_reloads(tap, daemon, model, bodies, count):
    path = os.path.join(model, "model.safetensors")
    with open(path, "rb") as f:
        weights = f.read()
    reload_by_socket(daemon)  # as warm as all that follow
    load_for(daemon, bodies, 2)
    before = settled_rss(daemon)
    alone = load_for(daemon, bodies, 5)
    stop, failures = threading.Event(), []

    def reload_all():
        for i in range(count):
            replace(path, weights)
            done = hang_up(daemon, "event=reloaded") if i % 2 else reload_by_socket(daemon) == 200
            if not done:
                failures.append(i)
        stop.set()

    worker = Background(reload_all)
    worker.start()
    figures = []
    while not stop.is_set():
        figures.append(load_for(daemon, bodies, 5))
    worker.join()
    after = settled_rss(daemon)
    p99 = max(x["2xx"]["p99_ms"] for x in figures)
    asked, wrong = outcome(figures)
    tap.check(not failures, f"{count - len(failures)} of {count} reloads were taken")
    tap.check(wrong == 0, f"{asked} requests beside them, {wrong} failed")
    # One reload after the other: something is always being loaded, on one core of two, at a lower priority, and beside
    # each change two generations compute for a moment.
    tap.check(p99 < 4 * alone["2xx"]["p99_ms"] + 5,
              f"p99 {p99:.1f} ms beside reloads, {alone['2xx']['p99_ms']:.1f} ms without")
    tap.check(abs(after - before) <= RSS_SHARE * before, f"memory {before:.1f} MiB before, {after:.1f} MiB after")


def broken_versions(model, count):
    """(file, content) of malformed versions of the model, seeded."""
    source = random.Random(1)
    files = {}
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        with open(os.path.join(model, name), "rb") as f:
            files[name] = f.read()
    header_len = int.from_bytes(files["model.safetensors"][:8], "little")
    header = json.loads(files["model.safetensors"][8:8 + header_len])
    for i in range(count):
        weights, kind = files["model.safetensors"], i % 6
        if kind == 0:
            yield "model.safetensors", weights[:source.randrange(len(weights))]
        elif kind == 1:
            yield "model.safetensors", source.getrandbits(63).to_bytes(8, "little") + weights[8:4096]
        elif kind == 2:
            changed = json.loads(json.dumps(header))
            name = source.choice([x for x in changed if x.endswith("dense.weight")])
            changed[name]["shape"] = changed[name]["shape"] + [source.choice((2, 2**40))]
            text = json.dumps(changed).encode()
            yield "model.safetensors", len(text).to_bytes(8, "little") + text + weights[8 + header_len:]
        elif kind == 3:
            at = 8 + header_len + 4 * source.randrange((len(weights) - 8 - header_len) // 4)
            yield "model.safetensors", weights[:at] + b"\x00\x00\xc0\x7f" + weights[at + 4:]
        elif kind == 4:
            config = json.loads(files["config.json"])
            config[source.choice(("hidden_size", "num_attention_heads", "vocab_size", "num_hidden_layers"))] = (
                source.choice((0, -1, 7, 2**62, "384", None, [])))
            yield "config.json", json.dumps(config).encode()
        else:
            yield "tokenizer.json", files["tokenizer.json"][:source.randrange(len(files["tokenizer.json"]) - 2)]


def bad_reloads(tap, daemon, model, bodies, count):
    expected = live.ask(daemon.port, "POST", "/v1/embeddings", bodies[0]).json()["data"]
    stop, refused, changed, accepted = threading.Event(), 0, 0, []
    figures = []

    def keep_asking():
        while not stop.is_set():
            figures.append(load_for(daemon, bodies, 3, rate=RATE))

    asking = Background(keep_asking)
    asking.start()
    for name, content in broken_versions(model, count):
        path = os.path.join(model, name)
        with open(path, "rb") as f:
            sound = f.read()
        replace(path, content)
        if hang_up(daemon, "event=reload_failed"):
            refused += 1
        else:
            accepted.append(name)
        changed += live.ask(daemon.port, "POST", "/v1/embeddings", bodies[0]).json()["data"] != expected
        replace(path, sound)
    stop.set()
    asking.join()
    asked, wrong = outcome(figures)
    tap.check(refused == count, f"{refused} of {count} bad models were refused{' (not: ' + ', '.join(accepted[:5]) + ')' if accepted else ''}")
    tap.check(changed == 0, f"the old model answered {count} times, {changed} with other bits")
    tap.check(wrong == 0, f"{asked} requests beside them, {wrong} failed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--good", type=int, default=10)
    parser.add_argument("--bad", type=int, default=24)
    options = parser.parse_args()
    tap = live.Tap()
    daemon = live.Daemon(heavy=True, config="admin_socket = {folder}/admin.sock\n[log]\nrequests = no\n")
    model = os.path.join(daemon.folder, "heavy")
    source = random.Random(3)
    bodies = [{"model": "heavy", "input": live.text_of(source, source.randint(5, 40))} for _ in range(64)]
    good_reloads(tap, daemon, model, bodies, options.good)
    bad_reloads(tap, daemon, model, bodies, options.bad)
    daemon.stop(tap)
    tap.finish()


main()
