"""What all tests of this folder share: a real attentd on a free port with models of its own, a raw HTTP client,
readings of /proc and /metrics, and TAP lines that carry the figures.

The daemon runs from ATT_BUILD_ROOT (default: build). Its models are the small ones of tests/data and "heavy", a BERT of
MiniLM's size with random weights that is written on the spot: what is measured needs requests that cost something, and
what the model says does not matter.
"""
import array
import ctypes
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get("ATT_SOURCE_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ATT_BUILD_ROOT") or os.path.join(SOURCE, "build")
MODELS = os.path.join(SOURCE, "tests/data/models")
PRCTL = ctypes.CDLL(None).prctl
TICKS = os.sysconf("SC_CLK_TCK")


# ---- TAP ----

class Tap:
    """Prints "ok 1 - name: figure" lines; the plan stands last."""

    def __init__(self):
        self.count = self.failed = 0

    def check(self, good, text):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)
        return good

    def skip(self, text, why):
        self.count += 1
        print(f"ok {self.count} - {text} # SKIP {why}", flush=True)

    def say(self, text):
        print(f"# {text}", flush=True)

    def finish(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, max(0, math.ceil(share * len(values)) - 1))] if values else math.nan


def is_sanitized():
    with open(os.path.join(BUILD, "attentd"), "rb") as f:
        content = f.read()
    return b"__asan_init" in content or b"__tsan_init" in content


# ---- a model that costs something ----

def write_heavy_model(folder, hidden=384, layers=6, wide=1536, positions=256):
    """A BERT encoder with mean pooling and random weights, with the tokenizer of st-bert-mean."""
    source = os.path.join(MODELS, "st-bert-mean")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("golden.jsonl", "model.safetensors"))
    with open(os.path.join(source, "config.json")) as f:
        config = json.load(f)
    config.update(hidden_size=hidden, num_hidden_layers=layers, intermediate_size=wide, num_attention_heads=hidden // 32,
                  max_position_embeddings=positions)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    with open(os.path.join(folder, "sentence_bert_config.json"), "w") as f:
        json.dump({"max_seq_length": positions, "do_lower_case": False}, f)
    pooling = os.path.join(folder, "1_Pooling", "config.json")
    with open(pooling) as f:
        config_pooling = json.load(f)
    config_pooling["word_embedding_dimension"] = hidden
    with open(pooling, "w") as f:
        json.dump(config_pooling, f)
    shapes = {"embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
              "embeddings.position_embeddings.weight": (positions, hidden),
              "embeddings.token_type_embeddings.weight": (2, hidden)}
    norms = ["embeddings.LayerNorm"]
    for i in range(layers):
        prefix = f"encoder.layer.{i}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{prefix}{name}.weight": (hidden, hidden), f"{prefix}{name}.bias": (hidden,)}
        shapes |= {f"{prefix}intermediate.dense.weight": (wide, hidden), f"{prefix}intermediate.dense.bias": (wide,),
                   f"{prefix}output.dense.weight": (hidden, wide), f"{prefix}output.dense.bias": (hidden,)}
        norms += [prefix + "attention.output.LayerNorm", prefix + "output.LayerNorm"]
    shapes |= {f"{name}.{part}": (hidden,) for name in norms for part in ("weight", "bias")}
    source = random.Random(7)
    noise = array.array("f", (source.gauss(0, 0.05) for _ in range(8191))).tobytes()
    ones = array.array("f", [1.0] * hidden).tobytes()
    header, blocks, at = {}, [], 0
    for name, shape in sorted(shapes.items()):
        size = 4 * math.prod(shape)
        block = ones if name.endswith("LayerNorm.weight") else (noise * (size // len(noise) + 1))[:size]
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        blocks.append(block)
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for block in blocks:
            f.write(block)


# ---- the daemon ----

def prefer():
    """Before everything else on this machine: in a session of its own, whose share the kernel divides by (autogroup)."""
    try:
        os.setsid()
    except OSError:
        pass  # it leads a group already: a shell's job
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -19)
        with open("/proc/self/autogroup", "w") as f:
            f.write("-19")
    except OSError:
        pass


class Daemon:
    """One attentd. `config`: further lines, which may begin with keys of [server], {folder} for its folder; cpus: those it is pinned to;
    alone: as little as possible of other processes shall show in what is measured, which only root can do;
    files: its limit of descriptors; wrapper: a command before its own, env: more of its environment."""

    def __init__(self, config="", heavy=False, cpus=None, alone=False, files=None, wrapper=(), env=None):
        self.folder = tempfile.mkdtemp(prefix="attentd-soak-")
        self.log_path = os.path.join(self.folder, "log")
        model = os.environ.get("ATT_SOAK_MODEL") or os.path.join(self.folder, "heavy")
        if heavy and "ATT_SOAK_MODEL" not in os.environ:
            write_heavy_model(model)
        with open(os.path.join(self.folder, "attentd.conf"), "w") as f:
            f.write(f"[model sentiment]\npath = {MODELS}/bert-sentiment\n"
                    f"[model encoder]\npath = {MODELS}/st-bert-mean\n"
                    f"[model movies]\npath = {MODELS}/sasrec\nencoder = encoder\n"
                    + (f"[model heavy]\npath = {model}\n" if heavy else "")
                    + f"[kb default]\npath = {self.folder}/kb.db\nmodel = encoder\n"
                    f"[server]\nlisten = 127.0.0.1:0\n{config.replace('{folder}', self.folder)}")

        def prepare():
            PRCTL(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: whatever ends the test ends the daemon
            if cpus is not None:
                os.sched_setaffinity(0, cpus)
            if alone:
                prefer()
            if files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*wrapper, os.path.join(BUILD, "attentd"), "--config", os.path.join(self.folder, "attentd.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=prepare, env={**os.environ, **(env or {})})
        self.pid, self.port = self.process.pid, 0
        for _ in range(6000):
            if m := re.search(r"^ready on 127\.0\.0\.1:(\d+) in", self.log(), re.M):
                self.port = int(m.group(1))
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        said = self.log()
        self.kill()
        raise SystemExit(f"the daemon did not start: {said}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=60):
        """Its exit status; negative: died of a signal."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self, tap):
        """SIGTERM; it shall exit with 0 and have logged no error."""
        self.signal(signal.SIGTERM)
        status = self.wait()
        wrong = [x for x in self.log().split("\n") if "level=error" in x or "Sanitizer" in x or "runtime error" in x]
        tap.check(status == 0 and not wrong, f"the daemon ends with status {status}, {len(wrong)} errors in its log")
        for line in wrong[:20]:
            tap.say(line)
        self.kill()

    # -- readings

    def status(self):
        """RSS in kB, open descriptors, threads, CPU seconds; None when it is gone."""
        try:
            with open(f"/proc/{self.pid}/status") as f:
                fields = dict(x.split(":", 1) for x in f if ":" in x)
            with open(f"/proc/{self.pid}/stat") as f:
                stat = f.read().rsplit(")", 1)[1].split()
            return {"rss_kb": int(fields["VmRSS"].split()[0]), "threads": int(fields["Threads"]),
                    "fds": len(os.listdir(f"/proc/{self.pid}/fd")),
                    "cpu_s": (int(stat[11]) + int(stat[12])) / TICKS}
        except (OSError, KeyError):
            return None

    def metrics(self):
        """Every sample of /metrics as {"name{labels}": number}."""
        answer = ask(self.port, "GET", "/metrics")
        samples = {}
        for line in answer.body.decode().split("\n"):
            if line and line[0] != "#":
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples


# ---- HTTP ----

class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Refused(Exception):
    """No connection, or it ended before an answer."""


def request(method, path, body=None, headers=()):
    """The bytes of a well-formed request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    if body is not None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


class Connection:
    def __init__(self, port, seconds=30):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        except OSError as e:
            raise Refused(str(e)) from e
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as e:
            raise Refused(f"sending: {e}") from e

    def more(self):
        try:
            piece = self.socket.recv(262144)
        except OSError as e:
            raise Refused(f"reading after {len(self.buffer)} bytes: {e}") from e
        if not piece:
            raise Refused(f"closed after {len(self.buffer)} bytes")
        self.buffer += piece

    def answer(self, has_body=True):
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self.more()
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}
        status, end = int(lines[0].split()[1]), end + 4
        if status == 100:
            self.buffer = self.buffer[end:]
            return self.answer(has_body)
        length = int(headers.get("content-length", 0)) if has_body else 0
        while len(self.buffer) < end + length:
            self.more()
        body, self.buffer = self.buffer[end:end + length], self.buffer[end + length:]
        return Answer(status, headers, body)

    def ask(self, method, path, body=None, headers=()):
        self.send(request(method, path, body, headers))
        return self.answer(method != "HEAD")

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


def ask(port, method, path, body=None, headers=()):
    connection = Connection(port)
    try:
        return connection.ask(method, path, body, headers)
    finally:
        connection.close()


WORDS = "shares rose profit fell after the bank cut its outlook parcel refund order late store price return card".split()


def text_of(source, words):
    return " ".join(source.choice(WORDS) for _ in range(words))


def run_load(port, path, bodies, seconds, clients=1, rate=0, cpu=None, connect=False):
    """tests/soak/load.c over these JSON bodies; its figures as a dict."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        for body in bodies:
            f.write(json.dumps(body) + "\n")
        f.flush()
        command = [os.path.join(BUILD, "tests/soak/load"), "-p", str(port), "-u", path, "-f", f.name, "-c", str(clients),
                   "-d", str(seconds)]
        command += ["-r", str(rate)] if rate else []
        command += ["-k", str(cpu)] if cpu is not None else []
        command += ["-n"] if connect else []
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
