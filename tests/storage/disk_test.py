#!/usr/bin/env python3
"""The disk fills up, becomes read-only, fails: writes are refused and nothing of them stays, reads and models go on, and
writes succeed again without a restart. A 2xx comes after fdatasync.

What needs a mount of its own (root) or strace is skipped without them.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from cases import FAILED, FULL, Case, check_after_kill, check_alive, check_refusal, make_entry, put, put_must
from daemon import Skip, run_tests

TMPFS_BYTES = 3 << 20


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


if __name__ == "__main__":
    own_mounts()
    run_tests([a_full_disk_is_507_until_there_is_room, a_read_only_disk_is_told_at_the_start,
               failing_calls_lose_nothing_and_end_with_the_fault, one_failing_call_in_a_row_of_writes,
               a_2xx_comes_after_fdatasync])
