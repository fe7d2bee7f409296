"""Entries, and what is asked of a daemon before and after each fault."""
import os
import shutil
import sqlite3
import subprocess
import tempfile

from daemon import Daemon


def make_entry(identity, kilobytes=1):
    return {"id": identity, "question": f"where is order number {identity}",
            "answer": f"{identity:06d} " * (146 * kilobytes)}


def put(daemon, identity, kilobytes=1):
    return daemon.ask("PUT", f"/v1/kb/default/entries/{identity}", make_entry(identity, kilobytes))


def put_must(daemon, identity, kilobytes=1):
    status, answer = put(daemon, identity, kilobytes)
    assert status == 200, answer


def check_alive(daemon, ids):
    """Reads and inference, with exactly these entries."""
    found = daemon.entries()
    assert set(found) == set(ids), f"entries {sorted(found)}, expected {sorted(ids)}"
    for identity, entry in found.items():
        assert entry["question"] == make_entry(identity)["question"]
    status, answer = daemon.ask("POST", "/v1/embeddings", {"model": "encoder", "input": ["where is it"]})
    assert status == 200, answer
    status, answer = daemon.ask("POST", "/v1/reply", {"question": make_entry(min(ids))["question"], "top": 5})
    assert status == 200 and min(ids) in [entry["id"] for entry in answer["answers"]], answer


def check_refusal(answer, codes):
    status, body = answer
    assert body["error"]["code"] in codes and status == codes[body["error"]["code"]], (status, body)
    assert "/" not in body["error"]["message"], f"a path is told: {body}"


FULL = {"storage_full": 507}
FAILED = {"storage_failed": 503}


class Case:
    """A folder and a daemon in it, gone afterwards whatever happens."""

    def __init__(self, folder=None, start=True):
        self.folder = tempfile.mkdtemp(prefix="attentd-disk-")
        self.daemon = Daemon(self.folder, folder and os.path.join(self.folder, folder, "kb.db"))
        self.start = start

    def __enter__(self):
        if self.start:
            self.daemon.start()
        return self.daemon

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.daemon.process.poll() is None:
                self.daemon.stop()
        finally:
            self.daemon.kill()
            if os.path.ismount(os.path.dirname(self.daemon.db)):
                subprocess.run(["umount", os.path.dirname(self.daemon.db)], check=False)
            shutil.rmtree(self.folder, ignore_errors=True)


def check_after_kill(daemon, ids):
    """What was acknowledged is there after kill -9."""
    daemon.kill()
    with sqlite3.connect(daemon.db) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    daemon.start()
    check_alive(daemon, ids)
