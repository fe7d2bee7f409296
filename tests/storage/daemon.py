"""A real attentd over a knowledge base of its own, for tests that kill it or take its disk away; and TAP."""
import http.client
import json
import os
import signal
import subprocess
import sys
import time

ROOT = os.environ.get("ATT_SOURCE_ROOT") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("ATT_BUILD_ROOT") or os.path.join(ROOT, "build")
MODEL = os.path.join(ROOT, "tests/data/models/st-bert-mean")
READY_S = 60


class Daemon:
    """`folder` holds configuration and log; `db` is the knowledge base file, in the folder unless said otherwise; `extra`
    stands at the configuration's end."""

    def __init__(self, folder, db=None, extra=""):
        self.folder = folder
        self.db = db or os.path.join(folder, "kb.db")
        self.log = os.path.join(folder, "log")
        self.process = None
        self.port = 0
        with open(os.path.join(folder, "attentd.conf"), "w") as f:
            f.write(f"[model encoder]\npath = {MODEL}\n[kb default]\npath = {self.db}\nmodel = encoder\n"
                    "[server]\nlisten = 127.0.0.1:0\nworker_threads = 1\n[log]\nrequests = no\n" + extra)

    def spawn(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([os.path.join(BUILD, "attentd"), "--config",
                                             os.path.join(self.folder, "attentd.conf")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.port = 0

    def start(self):
        self.spawn()
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            text = self.said()
            if "ready on 127.0.0.1:" in text and text.endswith("\n"):
                self.port = int(text.split("ready on 127.0.0.1:")[1].split()[0])
                return self
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon exited with {self.process.returncode}: {text}")
            time.sleep(0.005)
        raise AssertionError(f"the daemon is not ready: {self.said()}")

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """SIGTERM; it must end by itself with status 0 and without a word of a sanitizer."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        assert status == 0 and "Sanitizer" not in self.said(), f"exit status {status}: {self.said()}"

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, connection=None):
        """(status, answer as JSON) of one request."""
        own = connection is None
        connection = connection or self.connect()
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            if own:
                connection.close()

    def entries(self):
        status, answer = self.ask("GET", "/v1/kb/default/entries")
        assert status == 200, answer
        return {entry["id"]: entry for entry in answer["entries"]}


class Skip(Exception):
    pass


def run_tests(tests):
    """Runs the functions in order; TAP on standard output, exit status 1 when one failed."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__name__
        try:
            note = test()
            print(f"ok {number} - {name}" + (f" # {note}" if note else ""), flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception as error:  # any failure is the test's, the others go on
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            for line in f"{type(error).__name__}: {error}"[:4000].splitlines():
                print(f"# {line}", flush=True)
    sys.exit(1 if failed else 0)
