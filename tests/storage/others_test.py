#!/usr/bin/env python3
"""Other processes beside the daemon: an import, a lock that is held, a file that is moved, replaced or damaged."""
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

from cases import FAILED, Case, check_after_kill, check_alive, check_refusal, make_entry, put, put_must
from daemon import BUILD, MODEL, run_tests

ATTEND = os.path.join(BUILD, "attend")


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
        with open(path, "w") as f:
            f.write(json.dumps(make_entry(2000)) + "\n")
        subprocess.run([ATTEND, "kb", "import", "--kb", daemon.db, "--model", MODEL, "--file", path], check=True,
                       stdout=subprocess.DEVNULL)
        daemon.process.send_signal(signal.SIGHUP)  # so does a reload
        end = time.monotonic() + 20
        while 2000 not in daemon.entries() and time.monotonic() < end:
            time.sleep(0.05)
        ids = {1, 30, 2000} | set(range(2, 22)) | set(range(1000, 1300))
        check_alive(daemon, ids)
        check_after_kill(daemon, ids)


def a_held_lock_is_told_and_reads_go_on():
    with Case() as daemon:
        put_must(daemon, 1)
        holder = sqlite3.connect(daemon.db, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        answers = []
        writer = threading.Thread(target=lambda: answers.append(put(daemon, 2)))
        writer.start()
        time.sleep(0.2)
        begun = time.monotonic()
        for _ in range(8):  # new connections, on every thread that serves them
            check_alive(daemon, {1})
        assert time.monotonic() - begun < 3 and not answers, "reads waited for the lock"
        writer.join()
        check_refusal(answers[0], {"queue_full": 429})
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
    run_tests([an_import_beside_the_daemon, a_held_lock_is_told_and_reads_go_on, a_replaced_file_takes_no_writes,
               a_corrupt_file_is_refused_by_name])
