#!/usr/bin/env python3
"""The news store of a live daemon: what is old goes, reading is in no writer's way, and a long body needs no memory."""
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time

from daemon import ROOT, Daemon, run_tests

SENTIMENT = os.path.join(ROOT, "tests/data/models/bert-sentiment")
RULE = "[alert many]\nlevel = red\nsubject = all\nitems_min = 3\n"
DAY_MS = 86400000


class News:
    """A daemon with a news store, in a folder of its own that is gone afterwards."""

    def __init__(self, extra=RULE):
        self.folder = tempfile.mkdtemp(prefix="attentd-news-")
        self.db = os.path.join(self.folder, "news.db")
        self.daemon = Daemon(self.folder, extra=f"[model sentiment]\npath = {SENTIMENT}\n[news]\npath = {self.db}\n"
                                                f"model = sentiment\nretention_days = 30\n{extra}")

    def __enter__(self):
        self.daemon.start()
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.daemon.process.poll() is None:
                self.daemon.stop()
        finally:
            self.daemon.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    def ingest(self, *identities):
        items = [{"id": name, "source": "wire", "title": f"report {name}", "text": f"{name} was good"}
                 for name in identities]
        return self.daemon.ask("POST", "/v1/ingest", {"items": items})

    def must(self, path, body=None):
        status, answer = self.daemon.ask("POST" if body is not None else "GET", path, body)
        assert status == 200, (path, answer)
        return answer

    def ids(self):
        return sorted(item["id"] for item in self.must("/v1/news")["data"])

    def wait(self, seconds, what, expected):
        end = time.monotonic() + seconds
        while (found := what()) != expected:
            assert time.monotonic() < end, f"{found}, expected {expected}"
            time.sleep(0.05)

    def age(self, days, identities):
        """Another process makes them as old as that, and beyond retention the alerts too."""
        before = int(time.time() * 1000) - days * DAY_MS
        with sqlite3.connect(self.db, timeout=10) as db:
            for name in identities:
                db.execute("UPDATE items SET received_ms = ? WHERE id = ?", (before, name))
            if days > 30:
                db.execute("UPDATE alerts SET time_ms = ?", (before,))
        db.close()

    def n_alerts(self):
        return len(self.must("/v1/alerts")["data"])


def what_is_old_goes_though_nothing_comes():
    with News() as news:
        assert news.ingest("a", "b", "c", "d")[0] == 200
        news.wait(10, news.n_alerts, 1)
        news.age(29, "a")
        news.daemon.process.send_signal(signal.SIGHUP)  # a reload looks at once, the thread else once a minute
        news.wait(20, lambda: "event=reload" in news.daemon.said(), True)
        time.sleep(1)
        assert (news.ids(), news.n_alerts()) == (["a", "b", "c", "d"], 1)
        news.age(31, "bd")
        news.daemon.process.send_signal(signal.SIGHUP)
        news.wait(20, news.ids, ["a", "c"])
        news.wait(20, news.n_alerts, 0)
        assert news.ingest("e")[0] == 200
        assert news.ids() == ["a", "c", "e"]


def reading_waits_for_no_writer():
    """Something else holds the file: what is ingested waits, reports and trends do not. They share no thread."""
    with News() as news:
        assert news.ingest("a", "b", "c")[0] == 200
        news.wait(10, news.n_alerts, 1)
        holder = sqlite3.connect(news.db, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        answers = []
        writer = threading.Thread(target=lambda: answers.append(news.ingest("d")))
        writer.start()
        time.sleep(0.3)
        begun = time.monotonic()
        for _ in range(4):
            assert news.must("/v1/report", {"window": "24h"})["summary"]["items"] == 3
            assert news.must("/v1/trends?window=24h&by=all")["series"][0]["items"] == 3
            assert news.n_alerts() == 1
        assert time.monotonic() - begun < 4 and not answers, "reads waited for the writer"
        holder.execute("ROLLBACK")
        holder.close()
        writer.join()
        assert answers[0][0] == 200, answers
        assert news.ids() == ["a", "b", "c", "d"]


# ---- suite "slow" ----

LINES, WARM_UP, DIFFERENT, GROWTH_MIB = 100000, 2000, 3000, 16


def lines(n):
    """Two texts in three are the same again; 600 bytes a line, so that a body of LINES is 60 MB."""
    for i in range(n):
        k = i % DIFFERENT
        text = " ".join(f"{word} {(k * 7919 + j * 104729) % 99991}" for j, word in enumerate(["good", "bad", "oil"] * 15))
        yield (json.dumps({"id": f"i{k}", "source": f"s{k % 50}", "title": f"report {k}", "text": text.ljust(500)})
               + "\n").encode()


def send(news, n):
    connection = news.daemon.connect()
    connection.timeout = 1200
    connection.request("POST", "/v1/ingest?results=errors", lines(n), {"Content-Type": "application/x-ndjson"},
                       encode_chunked=True)
    response = connection.getresponse()
    text = response.read().decode().strip().splitlines()
    connection.close()
    assert response.status == 200, text
    return json.loads(text[-1])["summary"]


def mib(news, field):
    with open(f"/proc/{news.daemon.process.pid}/status") as f:
        return int(re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.M).group(1)) / 1024


def a_long_body_needs_no_memory():
    # A sanitizer keeps what was freed for a while.
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    with News("") as news:
        send(news, WARM_UP)
        before = mib(news, "VmRSS")
        begun = time.monotonic()
        summary = send(news, LINES)
        assert summary == {"lines": LINES, "new": DIFFERENT - WARM_UP, "duplicate": LINES - DIFFERENT + WARM_UP,
                           "updated": 0, "error": 0, "omitted": LINES}, summary
        grown = mib(news, "VmHWM") - before
        assert grown < GROWTH_MIB, f"{grown:.1f} MiB more than the {before:.1f} before"
        return f"{before:.1f} MiB, at most {grown:.1f} more, {time.monotonic() - begun:.0f} s"


def what_is_old_goes_within_the_minute():
    with News() as news:
        assert news.ingest("a", "b", "c")[0] == 200
        time.sleep(2)
        news.age(31, "ac")
        time.sleep(10)
        assert news.ids() == ["a", "b", "c"]
        news.wait(70, news.ids, ["b"])


if __name__ == "__main__":
    run_tests([a_long_body_needs_no_memory, what_is_old_goes_within_the_minute] if "--long" in sys.argv else
              [what_is_old_goes_though_nothing_comes, reading_waits_for_no_writer])
