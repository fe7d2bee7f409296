#!/usr/bin/env python3
"""Latency of POST /v1/recommend over a large catalogue, on one keep-alive connection.

    python3 bench/recommend.py --attentd build/attentd --items 1000000 --hidden 64 --requests 300

Writes a SASRec of random weights to a temporary folder, serves it with one worker a core, and prints one JSON line:
milliseconds a request as the client sees them, what the daemon says of its own part, and CPU milliseconds a request,
which a busy machine does not blur. Standard library only.
"""
import argparse
import array
import http.client
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time


def tensors(items, d, length):
    yield "item_emb.weight", (items + 1, d)
    yield "pos_emb.weight", (length + 1, d)
    for i in range(2):
        for n in (f"attention_layernorms.{i}", f"forward_layernorms.{i}"):
            yield n + ".weight", (d,)
            yield n + ".bias", (d,)
        yield f"attention_layers.{i}.in_proj_weight", (3 * d, d)
        yield f"attention_layers.{i}.in_proj_bias", (3 * d,)
        yield f"attention_layers.{i}.out_proj.weight", (d, d)
        yield f"attention_layers.{i}.out_proj.bias", (d,)
        for c in ("conv1", "conv2"):
            yield f"forward_layers.{i}.{c}.weight", (d, d, 1)
            yield f"forward_layers.{i}.{c}.bias", (d,)
    yield "last_layernorm.weight", (d,)
    yield "last_layernorm.bias", (d,)


def write_model(folder, items, d, length=50):
    config = {"model_type": "sasrec", "num_items": items, "hidden_size": d, "num_hidden_layers": 2,
              "num_attention_heads": 1, "max_position_embeddings": length, "hidden_act": "gelu",
              "layer_norm_eps": 1e-8, "scale_embedding": True, "pad_token_id": 0, "pad_to_max_length": False}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    header, at = {}, 0
    for name, shape in tensors(items, d, length):
        n = 2
        for s in shape:
            n *= s
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = random.Random(1)
    halves = [struct.unpack("<H", struct.pack("<e", rng.gauss(0, 0.1)))[0] for _ in range(256)]
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for begin in range(0, at // 2, 1 << 20):
            part = rng.randbytes(min(1 << 20, at // 2 - begin))
            f.write(array.array("H", [halves[b] for b in part]).tobytes())


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--attentd", default="build/attentd")
    a.add_argument("--items", type=int, default=1000000)
    a.add_argument("--hidden", type=int, default=64)
    a.add_argument("--requests", type=int, default=300)
    a.add_argument("--tables", help="item_tables: a folder for the table, which is then mapped")
    a = a.parse_args()
    folder = tempfile.mkdtemp(prefix="attend-bench-")
    daemon = None
    try:
        model = os.path.join(folder, "model")
        os.mkdir(model)
        write_model(model, a.items, a.hidden)
        with open(os.path.join(folder, "attentd.conf"), "w") as f:
            f.write(f"[server]\nlisten = 127.0.0.1:0\nitem_tables = {a.tables or 'none'}\n"
                    f"[log]\nrequests = no\n[model large]\npath = {model}\n")
        log = os.path.join(folder, "log")
        with open(log, "w") as out:
            daemon = subprocess.Popen([a.attentd, "--config", os.path.join(folder, "attentd.conf")], stderr=out)
        begin = time.time()
        while not (m := re.search(r"ready on 127\.0\.0\.1:(\d+)", open(log).read())) and time.time() < begin + 120:
            time.sleep(0.05)
        load_s = time.time() - begin
        connection = http.client.HTTPConnection("127.0.0.1", int(m.group(1)))
        rng, ms, compute = random.Random(2), [], []
        for i in range(a.requests + 10):
            if i == 10:
                cpu = cpu_s(daemon.pid)
            history = [{"item": str(rng.randrange(1, a.items + 1)), "type": "buy"} for _ in range(20)]
            body = json.dumps({"history": history, "top_k": 10, "explain": False})
            start = time.perf_counter()
            connection.request("POST", "/v1/recommend", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            if i >= 10:
                ms.append((time.perf_counter() - start) * 1000)
                compute.append(answer["timing_ms"]["compute"])
            assert len(answer["items"]) == 10, answer
        cpu = (cpu_s(daemon.pid) - cpu) * 1000 / a.requests
        ms.sort()
        compute.sort()
        with open(f"/proc/{daemon.pid}/status") as f:
            status = f.read()
        rss, private = (int(re.search(name + r":\s+(\d+)", status).group(1)) // 1024
                        for name in ("VmRSS", "RssAnon"))
        print(json.dumps({"items": a.items, "hidden": a.hidden, "requests": a.requests, "cores": os.cpu_count(),
                          "p50_ms": round(ms[len(ms) // 2], 2), "p99_ms": round(ms[len(ms) * 99 // 100], 2),
                          "best_ms": round(ms[0], 2), "compute_p50_ms": round(compute[len(compute) // 2], 2),
                          "cpu_ms": round(cpu, 2), "rss_mib": rss, "private_mib": private,
                          "load_s": round(load_s, 1)}))
    finally:
        if daemon:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
