#!/usr/bin/env python3
"""The disk fills up, becomes read-only, fails: writes are refused and nothing of them stays, reads and models go on, and
writes succeed again without a restart. A 2xx comes after fdatasync. Other processes may write to the file too.

What needs a mount of its own (root) or strace is skipped without them.
"""
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from daemon import BUILD, MODEL, Daemon, Skip, run_tests

TMPFS_BYTES = 3 << 20
ATTEND = os.path.join(BUILD, "attend")


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
            shutil.rmtree(self.folder, ignore_errors=True)


def check_after_kill(daemon, ids):
    """What was acknowledged is there after kill -9."""
    daemon.kill()
    with sqlite3.connect(daemon.db) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    daemon.start()
    check_alive(daemon, ids)


# ---- a small disk ----

def mount(*arguments):
    done = subprocess.run(["mount", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Skip(f"mount: {done.stdout.strip()}")


def need_mounts():
    if os.environ.get("ATT_OWN_MOUNTS") != "1":
        raise Skip("needs root, to mount a small disk")


def own_mounts():
    """Goes on in a mount namespace, so that nothing stays mounted however the test ends."""
    if os.environ.get("ATT_OWN_MOUNTS") or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ["ATT_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def fill(folder):
    """Takes the last byte."""
    with open(os.path.join(folder, "filler"), "wb", buffering=0) as filler:
        for size in (65536, 4096, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                pass


def a_full_disk_is_507_until_there_is_room():
    need_mounts()
    with Case("disk", start=False) as daemon:
        disk = os.path.dirname(daemon.db)
        os.mkdir(disk)
        mount("-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", disk)
        daemon.start()
        ids = set(range(1, 6))
        for identity in ids:
            put_must(daemon, identity)
        for turn in range(3):
            fill(disk)
            refused = 0
            for identity in range(100 * (turn + 1), 100 * (turn + 1) + 40):  # the log may have room of its own
                status, answer = put(daemon, identity, 16)
                if status == 200:
                    ids.add(identity)
                else:
                    check_refusal((status, answer), FULL)
                    refused += 1
                if refused == 4:
                    break
            assert refused == 4, "the disk was never full"
            check_refusal(daemon.ask("PUT", "/v1/kb/default", {"entries": [make_entry(7, 60), make_entry(8, 60)]}), FULL)
            check_alive(daemon, ids)
            os.unlink(os.path.join(disk, "filler"))
            put_must(daemon, 50 + turn, 16)
            ids.add(50 + turn)
            check_alive(daemon, ids)
            for identity in [i for i in ids if i >= 100]:
                assert daemon.ask("DELETE", f"/v1/kb/default/entries/{identity}")[0] == 200
                ids.remove(identity)
        fill(disk)
        check_after_kill_when_full(daemon, disk, ids)


def check_after_kill_when_full(daemon, disk, ids):
    """Whether it starts while the disk is full depends on what the log needs; once there is room it does, complete."""
    daemon.kill()
    os.unlink(os.path.join(disk, "filler"))
    daemon.start()
    check_alive(daemon, ids)
    daemon.stop()


def a_read_only_disk_is_told_at_the_start():
    need_mounts()
    with Case("disk", start=False) as daemon:
        disk = os.path.dirname(daemon.db)
        os.mkdir(disk)
        mount("-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", disk)
        mount("-o", "remount,ro", disk)
        daemon.spawn()
        assert daemon.process.wait(60) == 1
        assert daemon.db in daemon.said() and "kb 'default'" in daemon.said(), daemon.said()
        mount("-o", "remount,rw", disk)
        daemon.start()
        put_must(daemon, 1)
        check_alive(daemon, {1})


# ---- failing calls ----

class Strace:
    """Attached to a running daemon: calls on the knowledge base's files fail, or are told, until it is left."""

    def __init__(self, daemon, *options):
        if not shutil.which("strace"):
            raise Skip("needs strace")
        self.output = os.path.join(daemon.folder, "strace")
        self.process = subprocess.Popen(["strace", "-f", "-p", str(daemon.process.pid), "-o", self.output, *options],
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.tasks = f"/proc/{daemon.process.pid}/task"

    def attached(self):
        for task in os.listdir(self.tasks):
            with open(f"{self.tasks}/{task}/status") as f:
                if "TracerPid:\t0\n" in f.read():
                    return False
        return True

    def __enter__(self):
        end = time.monotonic() + 20
        while not self.attached():
            if self.process.poll() is not None or time.monotonic() > end:
                said = self.process.stderr.read() if self.process.poll() is not None else "does not attach"
                raise Skip(f"strace: {said.strip().splitlines()[-1] if said.strip() else 'ended'}")
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.process.stderr.close()

    def lines(self):
        with open(self.output, errors="replace") as f:
            return f.read().splitlines()


FAULTS = (  # call, error, the answers that are right
    ("fdatasync", "EIO", FAILED), ("fdatasync", "ENOSPC", FULL), ("fdatasync", "EROFS", FULL),
    ("pwrite64", "EIO", FAILED), ("pwrite64", "ENOSPC", FULL), ("pwrite64", "EROFS", FULL),
    ("pwrite64", "EDQUOT", FULL),
)


def failing_calls_lose_nothing_and_end_with_the_fault():
    with Case() as daemon:
        ids = {1, 2}
        put_must(daemon, 1)
        put_must(daemon, 2)
        for number, (call, error, codes) in enumerate(FAULTS):
            with Strace(daemon, "-P", daemon.db, "-P", daemon.db + "-wal", "-e", f"trace={call}", "-e",
                        f"inject={call}:error={error}"):
                for identity in (100, 101):
                    check_refusal(put(daemon, identity, 8), codes)
                check_refusal(daemon.ask("DELETE", "/v1/kb/default/entries/1"), codes)
                check_alive(daemon, ids)
            put_must(daemon, 10 + number, 8)
            ids.add(10 + number)
            check_alive(daemon, ids)
        check_after_kill(daemon, ids)


def one_failing_call_in_a_row_of_writes():
    """The fault comes at the n-th call and stays for a while: each answer is true, also after a kill."""
    with Case() as daemon:
        ids = {1}
        put_must(daemon, 1)
        for number, (call, error, codes) in enumerate(FAULTS[0:5:2]):
            with Strace(daemon, "-P", daemon.db, "-P", daemon.db + "-wal", "-e", f"trace={call}", "-e",
                        f"inject={call}:error={error}:when={3 + number}+3"):
                refused = 0
                for identity in range(100 * (number + 1), 100 * (number + 1) + 12):
                    status, answer = put(daemon, identity, 4)
                    if status == 200:
                        ids.add(identity)
                    else:
                        check_refusal((status, answer), codes)
                        refused += 1
                assert refused > 0, "no call failed"
            check_alive(daemon, ids)
        check_after_kill(daemon, ids)


def a_2xx_comes_after_fdatasync():
    with Case() as daemon:
        put_must(daemon, 1)
        with Strace(daemon, "-y", "-s", "32", "-e", "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg") as tracer:
            for identity in range(2, 12):
                put_must(daemon, identity)
        written, synced, answers = 0, 0, 0
        for line in tracer.lines():
            if "kb.db-wal>" in line and "pwrite64(" in line:
                written, synced = written + 1, 0
            if "kb.db-wal>" in line and re.search(r"f(data)?sync\(.*= 0$", line):
                synced = 1
            elif re.search(r"f(data)?sync.* resumed>.*= 0$", line):
                synced = 1
            if "HTTP/1.1 200" in line:
                assert written > 0 and synced == 1, f"an answer before the log was on the disk: {line}"
                written, synced, answers = 0, 0, answers + 1
        assert answers == 10, f"{answers} answers seen, expected 10"


# ---- other processes ----

def an_import_beside_the_daemon():
    with Case() as daemon:
        put_must(daemon, 1)
        path = os.path.join(daemon.folder, "entries.jsonl")
        with open(path, "w") as f:
            for identity in range(1000, 1300):
                f.write(json.dumps(make_entry(identity)) + "\n")
        statuses = []
        writer = threading.Thread(target=lambda: statuses.extend(put(daemon, i)[0] for i in range(2, 22)))
        writer.start()
        done = subprocess.run([ATTEND, "kb", "import", "--kb", daemon.db, "--model", MODEL, "--file", path],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        writer.join()
        assert done.returncode == 0 and "300 written" in done.stdout, done.stdout
        assert statuses == [200] * 20, statuses
        put_must(daemon, 30)  # a write reads what others wrote
        ids = {1, 30} | set(range(2, 22)) | set(range(1000, 1300))
        check_alive(daemon, ids)
        check_after_kill(daemon, ids)


def a_held_lock_is_told_and_reads_go_on():
    with Case() as daemon:
        put_must(daemon, 1)
        holder = sqlite3.connect(daemon.db, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        answers = []
        writers = [threading.Thread(target=lambda: answers.append(put(daemon, 2))) for _ in range(2)]
        for writer in writers:
            writer.start()
        time.sleep(0.2)
        begun = time.monotonic()
        for _ in range(8):  # new connections, on every thread that serves them
            check_alive(daemon, {1})
        assert time.monotonic() - begun < 3 and not answers, "reads waited for the lock"
        for writer in writers:
            writer.join()
        for answer in answers:
            check_refusal(answer, {"queue_full": 429})
        holder.execute("ROLLBACK")
        holder.close()
        put_must(daemon, 2)
        check_alive(daemon, {1, 2})


def a_replaced_file_takes_no_writes():
    with Case() as daemon:
        put_must(daemon, 1)
        os.rename(daemon.db, daemon.db + ".aside")
        check_refusal(put(daemon, 2), FAILED)
        check_alive(daemon, {1})
        os.rename(daemon.db + ".aside", daemon.db)
        put_must(daemon, 2)
        check_alive(daemon, {1, 2})


def a_corrupt_file_is_refused_by_name():
    with Case() as daemon:
        for identity in range(1, 40):
            put_must(daemon, identity, 4)
        daemon.stop()
        with open(daemon.db, "r+b") as f:
            f.seek(3 * 4096)
            f.write(os.urandom(8 * 4096))
        daemon.spawn()
        assert daemon.process.wait(60) == 1
        assert f"kb 'default': {daemon.db}: is" in daemon.said() and "damaged" in daemon.said(), daemon.said()


if __name__ == "__main__":
    own_mounts()
    run_tests([a_full_disk_is_507_until_there_is_room, a_read_only_disk_is_told_at_the_start,
               failing_calls_lose_nothing_and_end_with_the_fault, one_failing_call_in_a_row_of_writes,
               a_2xx_comes_after_fdatasync, an_import_beside_the_daemon, a_held_lock_is_told_and_reads_go_on,
               a_replaced_file_takes_no_writes, a_corrupt_file_is_refused_by_name])
