#!/usr/bin/env python3
"""What systemd does to a service, done by hand: notifications, the watchdog, sockets handed over, restarts."""
import hashlib
import http.client
import os
import re
import signal
import socket
import tempfile
import threading
import time

from daemon import Daemon, ask, listener
from tap import check, run


class Notifications:
    """The other end of NOTIFY_SOCKET: [(when, {name: value})]."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="attentd-notify-")
        self.path = os.path.join(self.folder.name, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.seen = []

    def read(self, name, value=None, seconds=20):
        """Reads up to the first message that has it, and returns that message."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                text = self.socket.recv(4096).decode()
            except TimeoutError:
                break
            message = dict(line.split("=", 1) for line in text.split("\n") if "=" in line)
            self.seen.append((time.monotonic(), message))
            if name in message and value in (None, message[name]):
                return message
        raise AssertionError(f"no {name}={value or ''} in {seconds} s; seen: {self.seen}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.folder.cleanup()


def test_ready_watchdog_stopping():
    interval_us = 1_000_000
    with Notifications() as systemd:
        daemon = Daemon(environment={"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": str(interval_us)})
        ready = systemd.read("READY", "1")
        check(re.search(r"3 models.*127\.0\.0\.1:\d+", ready.get("STATUS", "")), f"{ready}")
        begin = time.monotonic()
        for _ in range(5):
            systemd.read("WATCHDOG", "1", seconds=interval_us / 2e6)
        check(time.monotonic() - begin < 5 * interval_us / 2e6, "the watchdog is fed too late")
        daemon.signal(signal.SIGTERM)
        check("STATUS" in systemd.read("STOPPING", "1"), "no STATUS while it stops")
        status, log = daemon.wait()
        check(status == 0, log)


def test_reload_is_told():
    """RELOADING=1 with the time, then READY=1: a good one, a bad one."""
    with Notifications() as systemd:
        with Daemon(environment={"NOTIFY_SOCKET": systemd.path}) as daemon:
            systemd.read("READY", "1")
            for extra, words in (("", "Serving 3 models"), ("[limits]\nnonsense = 1\n", "unknown key 'nonsense'")):
                with open(os.path.join(daemon.folder, "attentd.conf"), "a", encoding="utf-8") as f:
                    f.write(extra)
                before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                daemon.signal(signal.SIGHUP)
                told = int(systemd.read("RELOADING", "1")["MONOTONIC_USEC"])
                check(before <= told <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, f"{before} {told}")
                status = systemd.read("READY", "1")["STATUS"]
                check(words in status, status)
                check(ask(daemon.address, "GET", "/readyz")[0] == 200, "it does not serve on")


def test_watchdog_of_another_process_is_left_alone():
    """WATCHDOG_PID names whom systemd watches."""
    with Notifications() as systemd:
        with Daemon(environment={"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}):
            systemd.read("READY", "1")
            try:
                systemd.read("WATCHDOG", seconds=0.5)
            except AssertionError:
                return
            raise AssertionError("fed a watchdog that is not its own")


def test_sockets_of_another_process_are_left_alone():
    with listener() as s, Daemon(environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as daemon:
        check(daemon.address[1] != s.getsockname()[1], "took a socket that was another's")


def test_restarts_refuse_no_connection():
    """The socket outlives the daemon: clients wait while it restarts, and all are answered."""
    with listener() as s:
        address = s.getsockname()
        counts = {"answered": 0}
        failures = []
        done = threading.Event()

        def client():
            while not done.is_set():
                try:
                    status = ask(address, "GET", "/healthz")[0]
                    if status != 200:
                        failures.append(status)
                    counts["answered"] += 1
                except OSError as error:
                    failures.append(error)

        daemon = Daemon(sockets=[(s, "http")])
        check(daemon.address == address, f"listens on {daemon.address}, was given {address}")
        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        try:
            for _ in range(3):
                time.sleep(0.2)
                before = counts["answered"]
                daemon.stop()
                daemon = Daemon(sockets=[(s, "http")])
                time.sleep(0.1)
                check(counts["answered"] > before, "nothing was answered")
        finally:
            done.set()
            for thread in clients:
                thread.join()
        daemon.stop()
        check(not failures, f"{len(failures)} of {counts['answered']} failed: {failures[:3]}")


def refuses(sockets, words):
    daemon = Daemon(sockets=sockets, wait=False)
    status, log = daemon.wait()
    check(status == 1, f"exit {status}: {log}")
    check(words in log.splitlines()[-1], log)


def test_what_does_not_listen_is_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as quiet:
        refuses([(quiet, "http")], "does not listen")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        refuses([(datagrams, "http")], "does not listen")
    with open(os.devnull, encoding="utf-8") as file:
        refuses([(file, "http")], "does not listen")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def test_admin_socket():
    """The socket named admin opens the admin paths, whatever its place; the other one does not."""
    for is_first in (False, True):
        with tempfile.TemporaryDirectory() as folder, listener() as s, socket.socket(socket.AF_UNIX) as admin:
            path = os.path.join(folder, "admin.sock")
            admin.bind(path)
            admin.listen()
            sockets = [(admin, "admin"), (s, "http")] if is_first else [(s, "http"), (admin, "admin")]
            with Daemon(sockets=sockets) as daemon:
                check(daemon.address == s.getsockname(), f"{daemon.address}")
                connection = UnixConnection(path)
                connection.request("POST", "/v1/models/sentiment/reload", headers={"Connection": "close"})
                answer = connection.getresponse()
                check(answer.status == 200 and b'"version":2' in answer.read(), f"{answer.status}")
                connection.close()
                status = ask(daemon.address, "POST", "/v1/models/sentiment/reload")[0]
                check(status == 403, f"{status} on the open socket")


def test_sockets_that_fit_nowhere_are_refused():
    with listener() as a, listener() as b:
        refuses([(a, "http"), (b, "other")], "2 sockets were handed over")
        refuses([(a, "http"), (b, "admin")], "no unix socket")


def test_credentials():
    """Keys that systemd hands over are found without a word in the configuration."""
    key = "canary-key-of-a-test"
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "api-keys"), "w", encoding="utf-8") as f:
            f.write(f"shop {hashlib.sha256(key.encode()).hexdigest()} infer\n")
        body = '{"model":"sentiment","input":"good"}'
        with Daemon(environment={"CREDENTIALS_DIRECTORY": folder}) as daemon:
            check(ask(daemon.address, "POST", "/v1/classify", body)[0] == 401, "open without a key")
            status = ask(daemon.address, "POST", "/v1/classify", body, {"Authorization": f"Bearer {key}"})[0]
            check(status == 200, f"{status} with the key")
            check(key not in daemon.log(), "the key is in the log")


run(test_ready_watchdog_stopping, test_reload_is_told, test_watchdog_of_another_process_is_left_alone,
    test_sockets_of_another_process_are_left_alone, test_restarts_refuse_no_connection,
    test_what_does_not_listen_is_refused, test_sockets_that_fit_nowhere_are_refused, test_admin_socket,
    test_credentials)
