"""A real attentd, started by hand: with a configuration of its own on small models, and what systemd would give it."""
import fcntl
import http.client
import os
import shutil
import signal
import socket
import tempfile
import time

SOURCE = os.environ["ATT_SOURCE_ROOT"]
BUILD = os.environ["ATT_BUILD_ROOT"]
MODELS = """
[model sentiment]
path = {models}/bert-sentiment
[model encoder]
path = {models}/st-bert-mean
[model movies]
path = {models}/sasrec
encoder = encoder
[kb default]
path = {folder}/kb.db
model = encoder
"""


def ask(address, method, path, body=None, headers=None, timeout=20):
    """(status, headers by lower-case name, body) of one request on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", "Connection": "close",
                                                **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


class Daemon:
    """sockets: [(socket, name)] to hand over as LISTEN_FDS; environment: more variables; settings: more configuration,
    may begin with keys of [server]. With `wait`, returns when it is ready; .address is where."""

    def __init__(self, settings="", sockets=(), environment=None, wait=True):
        self.folder = tempfile.mkdtemp(prefix="attentd-system-")
        config = os.path.join(self.folder, "attentd.conf")
        models = MODELS.format(models=f"{SOURCE}/tests/data/models", folder=self.folder)
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"[server]\nlisten = 127.0.0.1:0\n{settings}\n{models}")
        self.log_path = os.path.join(self.folder, "log")
        self.pid = self._start(["attentd", "--config", config], sockets, {**os.environ, **(environment or {})})
        self.address = self._wait_ready() if wait else None

    def _start(self, argv, sockets, environment):
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        # Above the numbers they shall have, so that none is overwritten by another.
        high = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100) for s, _ in sockets]
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(log, 1)
                os.dup2(log, 2)
                for i, fd in enumerate(high):
                    os.dup2(fd, 3 + i)
                if sockets:
                    environment["LISTEN_PID"] = str(os.getpid())
                    environment["LISTEN_FDS"] = str(len(sockets))
                    environment["LISTEN_FDNAMES"] = ":".join(name for _, name in sockets)
                os.execve(os.path.join(BUILD, "attentd"), argv, environment)
            finally:
                os._exit(127)
        for fd in (log, *high):
            os.close(fd)
        return pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def _wait_ready(self, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in self.log().splitlines():
                if line.startswith("ready on ") and " in " in line:
                    host, _, port = line.split()[2].rpartition(":")
                    return (host.strip("[]"), int(port)) if port.isdigit() else line.split()[2]
            if self.has_ended():
                raise AssertionError(f"it did not start: {self.log()}")
            time.sleep(0.01)
        raise AssertionError(f"not ready in {seconds} s: {self.log()}")

    def has_ended(self):
        info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return info is not None

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self):
        """(exit status, log) after it ended by itself or by a signal that was sent; its folder is removed."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        log = self.log()
        shutil.rmtree(self.folder)
        return status, log

    def stop(self):
        self.signal(signal.SIGTERM)
        status, log = self.wait()
        if status != 0 or "level=error" in log or "Sanitizer" in log:
            raise AssertionError(f"exit {status}: {log}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.signal(signal.SIGKILL)
            self.wait()


def listener(backlog=512):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    s.listen(backlog)
    return s
