#!/usr/bin/env python3
"""attentd behind nginx and HAProxy as docs/proxy configures them."""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from daemon import SOURCE, Daemon, ask, listener
from tap import Skip, check, run

GOOD = '{"model":"sentiment","input":"good"}'
WORK = json.dumps({"model": "sentiment", "input": ["one two three four five six seven eight nine ten"] * 2000})


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    """The configuration of docs/proxy with other ports, in front of `upstream`."""

    def __init__(self, name, upstream):
        if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin"):
            raise Skip(f"no {name}")
        program = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        self.folder = tempfile.TemporaryDirectory(prefix="attentd-proxy-")
        path = self.folder.name
        self.address = ("127.0.0.1", free_port())
        with open(f"{SOURCE}/docs/proxy/{name}.{'conf' if name == 'nginx' else 'cfg'}", encoding="utf-8") as f:
            text = f.read()
        text = text.replace("127.0.0.1:8080", "%s:%d" % upstream)
        text = re.sub(r"127\.0\.0\.1:809\d", "127.0.0.1:%d" % self.address[1], text)
        if name == "nginx":
            text = (f"daemon off; master_process off; worker_processes 1; pid {path}/pid; error_log stderr;\n"
                    f"events {{}}\nhttp {{ access_log off;\n" + "".join(
                        f"{kind}_temp_path {path}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) + text + "}\n")
            command = [program, "-e", "stderr", "-p", path, "-c", f"{path}/conf"]
        else:
            text = "global\n    maxconn 2000\n" + text
            command = [program, "-db", "-f", f"{path}/conf"]
        with open(f"{path}/conf", "w", encoding="utf-8") as f:
            f.write(text)
        self.log = open(f"{path}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                if ask(self.address, "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.log.seek(0)
        said = self.log.read()
        self.__exit__()
        raise AssertionError(f"{name} did not start: {said}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()


def metric(daemon, beginning):
    """The sum of all samples whose line begins so."""
    text = ask(daemon.address, "GET", "/metrics")[2].decode()
    return sum(float(x.split()[-1]) for x in text.splitlines() if x.startswith(beginning))


def answers(proxy):
    """What attentd says arrives as it said it."""
    status, headers, body = ask(proxy.address, "POST", "/v1/classify", GOOD)
    check(status == 200 and json.loads(body)["model"] == "sentiment", f"{status} {body}")
    check(len(headers.get("x-request-id", "")) >= 32, f"no request id of the proxy: {headers}")
    status, _, body = ask(proxy.address, "POST", "/v1/classify", '{"model":"none","input":"good"}')
    check(status == 404 and "error" in json.loads(body), f"{status} {body}")
    status, _, body = ask(proxy.address, "POST", "/v1/classify", WORK[:-1] + ',"deadline_ms":1}')
    check(status == 504 and "error" in json.loads(body), f"{status} {body[:200]}")
    check(ask(proxy.address, "GET", "/metrics")[0] == 404, "the metrics are shown to the world")


def limits(proxy):
    """A body above the limit is 413, whoever says it, with and without a length."""
    big = b'{"model":"sentiment","input":"' + b"a" * (5 << 20) + b'"}'
    for headers in ({}, {"Transfer-Encoding": "chunked"}):
        connection = http.client.HTTPConnection(*proxy.address, timeout=20)
        try:
            connection.request("POST", "/v1/classify", iter([big]) if headers else big,
                               {"Content-Type": "application/json"}, encode_chunked=bool(headers))
            status = connection.getresponse().status
        except (ConnectionError, http.client.BadStatusLine):
            # The refusal came while the body was on its way, and the close overtook it.
            status = 413
        finally:
            connection.close()
        check(status == 413, f"{headers}: {status}")
    check(ask(proxy.address, "POST", "/v1/classify", GOOD)[0] == 200, "no answer afterwards")


def keeps_connections(proxy, daemon):
    before = metric(daemon, "attentd_connections_total ")
    for _ in range(50):
        check(ask(proxy.address, "POST", "/v1/classify", GOOD)[0] == 200, "no answer")
    new = metric(daemon, "attentd_connections_total ") - before
    check(new <= 15, f"{new} connections for 50 requests of 50 clients")


def colon_lines(proxy, daemon):
    """A header line that begins with a colon ends the header for libmicrohttpd 0.9.75: it must not get there."""
    hidden = b"GET /v1/models/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    for line in (b":a: b", b": b", b":"):
        with socket.create_connection(proxy.address, timeout=10) as s:
            s.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n" + hidden)
            s.shutdown(socket.SHUT_WR)
            text = b""
            try:
                while piece := s.recv(65536):
                    text += piece
            except ConnectionError:
                pass
        check(text.count(b"HTTP/1.1 ") <= 1, f"{line}: answered twice: {text[-300:]}")
    check(metric(daemon, 'attentd_requests_total{method="GET",route="/v1/models/{id}"') == 0, "it arrived")


def behind(name):
    with Daemon() as daemon, Proxy(name, daemon.address) as proxy:
        answers(proxy)
        limits(proxy)
        keeps_connections(proxy, daemon)
        colon_lines(proxy, daemon)


def overload(name):
    """429 with its Retry-After goes through; the proxy does not ask again."""
    with Daemon("[batching]\nqueue_requests_max = 1\n") as daemon, Proxy(name, daemon.address) as proxy:
        seen = []

        def client():
            seen.append(ask(proxy.address, "POST", "/v1/classify", WORK, timeout=60))

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [x[0] for x in seen]
        refused = [x for x in seen if x[0] == 429]
        check(refused and len(seen) == 8 and set(statuses) <= {200, 429}, f"{statuses}")
        check(all("retry-after" in headers and "error" in json.loads(body) for _, headers, body in refused),
              f"{refused}")
        asked = metric(daemon, 'attentd_requests_total{method="POST",')
        check(asked == 8, f"asked {asked} times for 8 requests")


def restarts(name):
    """attentd restarts behind its socket: no client of the proxy notices."""
    with listener() as s:
        daemon = Daemon(sockets=[(s, "http")])
        failures, n_answered, done = [], [0], threading.Event()

        def client():
            while not done.is_set():
                try:
                    status, _, body = ask(proxy.address, "POST", "/v1/classify", GOOD)
                    if status != 200:
                        failures.append((status, body[:200]))
                except OSError as error:
                    failures.append(error)
                n_answered[0] += 1

        try:
            with Proxy(name, s.getsockname()) as proxy:
                threads = [threading.Thread(target=client) for _ in range(4)]
                for thread in threads:
                    thread.start()
                try:
                    for _ in range(3):
                        time.sleep(0.2)
                        daemon.stop()
                        daemon = Daemon(sockets=[(s, "http")])
                    time.sleep(0.2)
                finally:
                    done.set()
                    for thread in threads:
                        thread.join()
        finally:
            daemon.stop()
        check(n_answered[0] > 20 and not failures, f"{len(failures)} of {n_answered[0]} failed: {failures[:3]}")


def test_nginx():
    behind("nginx")


def test_nginx_overload():
    overload("nginx")


def test_nginx_restarts():
    restarts("nginx")


def test_haproxy():
    behind("haproxy")


def test_haproxy_overload():
    overload("haproxy")


def test_haproxy_restarts():
    restarts("haproxy")


run(test_nginx, test_nginx_overload, test_nginx_restarts, test_haproxy, test_haproxy_overload, test_haproxy_restarts)
