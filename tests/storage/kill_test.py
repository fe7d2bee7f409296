#!/usr/bin/env python3
"""kill -9 while clients write: what was acknowledged is there word for word, what was not is wholly there or not at all.

    tests/storage/kill_test.py [--rounds N] [--seed S]

Every round starts the daemon, lets four clients write through HTTP, kills it at a random moment (now and then while it
starts), checks the files as they lie there, starts it again and compares every entry; then it asks for some by their
question. A client owns its ids, so that at most one write of an id is unacknowledged.
"""
import argparse
import http.client
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time

from daemon import Daemon, run_tests

CLIENTS = 4
IDS_EACH = 24
WORDS = "order parcel return refund invoice account login price store size colour gift card email phone hour".split()


def make_entry(rng, identity, version):
    """An entry that no other id or version has; long answers make the log go round."""
    words = rng.sample(WORDS, 3)
    return {"id": identity, "lang": rng.choice(["en", "zh", ""]),
            "question": f"{words[0]} {words[1]} number {identity} of {version}",
            "alternates": [f"{word} {identity} again {version}" for word in words[:rng.randrange(4)]],
            "answer": f"{version} " * rng.choice([1, 40, 3000]), "source": rng.choice(["", "faq"]),
            "metadata": {"version": version}, "prompts": rng.sample(range(1, 99), rng.randrange(3)),
            "context_only": False}


class Client(threading.Thread):
    """Writes until the daemon is gone. `stored`: id → entry as acknowledged; `open`: id → entry or None (removed), of
    the one write that was not."""

    def __init__(self, daemon, number, stored, rng):
        super().__init__()
        self.daemon_under_test = daemon
        self.ids = range(1 + number * IDS_EACH, 1 + (number + 1) * IDS_EACH)
        self.stored, self.rng = stored, rng
        self.open = {}
        self.acknowledged = 0
        self.error = None

    def write(self, connection):
        daemon, rng = self.daemon_under_test, self.rng
        kind = rng.random()
        if kind < 0.2:
            identity = rng.choice(self.ids)
            self.open = {identity: None}
            status, answer = daemon.ask("DELETE", f"/v1/kb/default/entries/{identity}", None, connection)
            expected = 200 if identity in self.stored else 404
        elif kind < 0.6:
            entry = make_entry(rng, rng.choice(self.ids), rng.randrange(1 << 30))
            self.open = {entry["id"]: entry}
            status, answer = daemon.ask("PUT", f"/v1/kb/default/entries/{entry['id']}", entry, connection)
            expected = 200
        else:
            entries = [make_entry(rng, identity, rng.randrange(1 << 30))
                       for identity in rng.sample(self.ids, rng.randrange(2, 9))]
            self.open = {entry["id"]: entry for entry in entries}
            status, answer = daemon.ask("PUT", "/v1/kb/default/entries", {"entries": entries}, connection)
            expected = 200
        assert status == expected, answer
        for identity, entry in self.open.items():
            self.stored.pop(identity, None)
            if entry:
                self.stored[identity] = entry
        self.open = {}
        self.acknowledged += 1

    def run(self):
        try:
            connection = self.daemon_under_test.connect()
            while True:
                self.write(connection)
        except (OSError, http.client.HTTPException):
            pass  # it was killed
        except Exception as error:  # told by the main thread
            self.error = error


def check_files(db):
    """The files as the killed process left them, in a copy, so that the daemon recovers them by itself."""
    with tempfile.TemporaryDirectory(prefix="attentd-kill-") as folder:
        for ending in ("", "-wal"):
            if os.path.exists(db + ending):
                shutil.copyfile(db + ending, os.path.join(folder, "kb.db" + ending))
        with sqlite3.connect(os.path.join(folder, "kb.db")) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchall()
            assert found == [("ok",)], f"integrity_check: {found}"
            if copy.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                copy.execute("INSERT INTO texts_fts(texts_fts, rank) VALUES ('integrity-check', 1)")
        copy.close()


def settle(found, clients, stored):
    """Compares what is there with what was acknowledged; the unacknowledged writes are decided by it."""
    for client in clients:
        written = [identity for identity, entry in client.open.items() if found.get(identity) == entry]
        before = [identity for identity in client.open if found.get(identity) == stored.get(identity)]
        assert len(written) == len(client.open) or len(before) == len(client.open), \
            f"a write of {list(client.open)} is there in part: {written}"
        for identity, entry in client.open.items():
            if len(written) == len(client.open):
                stored.pop(identity, None)
                if entry:
                    stored[identity] = entry
    assert set(found) == set(stored), f"lost {set(stored) - set(found)}, appeared {set(found) - set(stored)}"
    for identity, entry in stored.items():
        assert found[identity] == entry, f"entry {identity} is {found[identity]}, acknowledged was {entry}"


def check_search(daemon, stored, rng):
    for identity in rng.sample(sorted(stored), min(3, len(stored))):
        status, answer = daemon.ask("POST", "/v1/reply", {"question": stored[identity]["question"], "top": 5})
        assert status == 200, answer
        assert identity in [found["id"] for found in answer["answers"]], \
            f"entry {identity} is not found by '{stored[identity]['question']}'"


def one_round(daemon, stored, rng):
    """How many writes were acknowledged before the kill."""
    if rng.random() < 0.15:
        daemon.spawn()
        time.sleep(rng.random() * 0.1)
        daemon.kill()
        check_files(daemon.db)
    daemon.start()
    clients = [Client(daemon, number, {i: e for i, e in stored.items() if (i - 1) // IDS_EACH == number},
                      random.Random(rng.random())) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    end = time.monotonic() + 5
    while not any(client.acknowledged for client in clients) and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(rng.random() * 0.3)
    daemon.kill()
    for client in clients:
        client.join()
        if client.error:
            raise client.error
    stored.clear()
    for client in clients:
        stored.update(client.stored)
    check_files(daemon.db)
    daemon.start()
    settle(daemon.entries(), clients, stored)
    check_search(daemon, stored, rng)
    if rng.random() < 0.5:
        daemon.kill()  # with nothing under way
    else:
        daemon.stop()  # the log is folded into the file
    return sum(client.acknowledged for client in clients)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    options = parser.parse_args()

    def acknowledged_writes_survive_kill_9():
        rng = random.Random(options.seed)
        acknowledged = 0
        with tempfile.TemporaryDirectory(prefix="attentd-kill-") as folder:
            daemon, stored = Daemon(folder), {}
            for number in range(options.rounds):
                try:
                    acknowledged += one_round(daemon, stored, rng)
                except Exception as error:
                    daemon.kill()
                    raise AssertionError(f"round {number} of seed {options.seed}: {error}") from error
        assert acknowledged > options.rounds, "hardly anything was written"
        return f"{options.rounds} rounds, {acknowledged} acknowledged writes, seed {options.seed}"

    run_tests([acknowledged_writes_survive_kill_9])


if __name__ == "__main__":
    main()
