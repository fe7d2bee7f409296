#!/usr/bin/env python3
"""Trains models/support: one linear layer behind e5 that brings questions of one intent together.

    tools/train/support.py --data DATA_DIR --out models/support [--attend build/attend] [--model var/models/e5]
                           [--without SET] [--cache FILE.npz]

DATA_DIR holds banking77/train.tsv, clinc150/train.tsv (label, tab, text) and bitext-support/{train,kb}.jsonl; SET names one that is left out,
to see what the layer does for questions it knows nothing of. Vectors come from `attend embed` and stay as they are: what is learnt is W and b of
normalise(W x + b), from the identity and minus the mean. The loss has three parts:

1. of a question, the softmax of its cosines to others of its set and the other sets, at temperature 0.05, shall lie on those of its own intent
   (neighbourhood components, Goldberger et al. 2004); 2. the same of bitext's questions and the 108 answers of its knowledge base;
3. Chinese texts keep their neighbours: the softmax of their cosines stays what it was (Kullback-Leibler). They are the news of tools/train/data;
   there are no Chinese questions in the training.

--decay holds W near the identity. Needs numpy; nearly all the time goes into the vectors, which --cache keeps.
"""
import argparse
import collections
import hashlib
import json
import os
import random
import struct
import subprocess

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = ["How do I return an item?", "怎么退货？", "cancel order 4711", "my card has not arrived yet", "退款什么时候到账", "ok"]
CLINC_ROWS = 24  # of each of its 150 intents


def tsv(path):
    with open(path, encoding="utf-8") as f:
        return [tuple(line.rstrip("\n").split("\t", 1)) for line in f][1:]


def jsonl(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def read_sets(data, without):
    """{set: [(label, question)]} and bitext's [(label, question and answer)]."""
    sets = {"banking77": tsv(os.path.join(data, "banking77", "train.tsv"))}
    kb = jsonl(os.path.join(data, "bitext-support", "kb.jsonl"))
    stored = {d["question"] for d in kb}
    sets["bitext-support"] = [(r["intent"], r["question"]) for r in jsonl(os.path.join(data, "bitext-support", "train.jsonl"))
                              if r["question"] not in stored]
    by_label = collections.defaultdict(list)
    for label, text in tsv(os.path.join(data, "clinc150", "train.tsv")):
        by_label[label].append(text)
    rng = random.Random(1)
    sets["clinc150"] = [(label, text) for label, texts in by_label.items() if label != "oos"
                        for text in rng.sample(texts, CLINC_ROWS)]
    documents = [(d["intent"], d["question"] + "\n" + d["answer"]) for d in kb]
    sets.pop(without, None)
    return sets, documents if "bitext-support" in sets else []


def embed(command, texts, cache):
    known = {}
    if cache and os.path.exists(cache):
        with np.load(cache, allow_pickle=True) as file:
            known = dict(zip(file["t"].tolist(), file["v"]))
    new = sorted(set(texts) - known.keys())
    lines = [json.dumps({"input": new[i:i + 64]}) for i in range(0, len(new), 64)]
    out = subprocess.run(command, input="\n".join(lines).encode(), stdout=subprocess.PIPE, check=True).stdout if new else b""
    rows = [d["embedding"] for line in out.decode().splitlines() for d in json.loads(line)["data"]]
    known.update(zip(new, np.array(rows, dtype=np.float32)))
    if cache and new:
        np.savez(cache, t=np.array(list(known), dtype=object), v=np.array(list(known.values())))
    return normalize(np.array([known[t] for t in texts]))


def normalize(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def softmax(x):
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


class Layer:
    def __init__(self, mean):
        self.parameters = [np.eye(len(mean), dtype=np.float32), -mean.astype(np.float32)]
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.parameters]
        self.steps, self.used = 0, []

    def __call__(self, x):
        """The vectors; what backward needs of them is kept."""
        h = x @ self.parameters[0].T + self.parameters[1]
        length = np.linalg.norm(h, axis=1, keepdims=True)
        z = h / length
        self.used.append((x, z, length))
        return z

    def backward(self, gradients, rate, decay):
        """One step of Adam by the gradients of what the calls since the last step gave, in their order."""
        total = [decay * (self.parameters[0] - np.eye(len(self.parameters[1]), dtype=np.float32)), np.zeros_like(self.parameters[1])]
        for (x, z, length), dz in zip(self.used, gradients, strict=True):
            dh = (dz - z * (dz * z).sum(1, keepdims=True)) / length
            total[0] += dh.T @ x
            total[1] += dh.sum(0)
        self.used, self.steps = [], self.steps + 1
        for p, g, (m, v) in zip(self.parameters, total, self.moments):
            m += 0.1 * (g - m)
            v += 0.01 * (g * g - v)
            p -= rate * (m / (1 - 0.9 ** self.steps)) / (np.sqrt(v / (1 - 0.99 ** self.steps)) + 1e-8)


def neighbours(anchors, others, wanted, itself, temperature):
    """Loss 1 and its gradients by both; wanted, itself: [anchors][others] of booleans."""
    logits = anchors @ others.T / temperature
    logits[itself] = -1e4
    p = softmax(logits)
    own = p * wanted
    share = np.maximum(own.sum(1, keepdims=True), 1e-9)
    slope = (p - own / share) / len(anchors) / temperature
    return -np.log(share).mean(), slope @ others, slope.T @ anchors


def kept(z, before, temperature=0.1):
    """Loss 3 and its gradient."""
    off = -1e4 * np.eye(len(z), dtype=np.float32)
    p, q = softmax(z @ z.T / temperature + off), softmax(before @ before.T / temperature + off)
    slope = (p - q) / len(z) / temperature
    return (q * (np.log(q + 1e-9) - np.log(p + 1e-9))).sum(1).mean(), slope @ z + slope.T @ z


def train(x, labels, groups, documents, chinese, a):
    """groups: rows of each set; documents: (rows that ask, vectors, labels) or None."""
    rng = np.random.default_rng(a.seed)
    mean = (np.mean([x[g].mean(0) for g in groups], 0) + chinese.mean(0)) / 2
    layer, before = Layer(mean), normalize(chinese - mean)
    for step in range(a.steps):
        some = np.concatenate([rng.choice(g, 48, replace=False) for g in groups])
        more = np.concatenate([rng.choice(g, 192, replace=False) for g in groups])
        loss, first, second = neighbours(layer(x[some]), layer(x[more]), labels[some][:, None] == labels[more], some[:, None] == more,
                                         a.temperature)
        losses, gradients = [loss], [first, second]
        if documents:
            asking = rng.choice(documents[0], 96, replace=False)
            loss, first, second = neighbours(layer(x[asking]), layer(documents[1]), labels[asking][:, None] == documents[2],
                                             np.zeros((96, len(documents[1])), bool), a.temperature)
            losses.append(loss)
            gradients += [a.documents * first, a.documents * second]
        few = rng.choice(len(chinese), 160, replace=False)
        loss, slope = kept(layer(chinese[few]), before[few])
        gradients.append(a.keep * slope)
        layer.backward(gradients, a.rate * min(1, (step + 1) / 20) * (1 - step / a.steps), a.decay)
        if step % 100 == 0:
            print(step, *(f"{v:.4f}" for v in [*losses, loss]), flush=True)
    return layer


def write(out, layer, model, golden):
    """modules.json and what it names, attend.json without calibration, golden.jsonl."""
    def dump(name, value):
        os.makedirs(os.path.dirname(os.path.join(out, name)) or ".", exist_ok=True)
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            f.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize", "3_Dense": "Dense", "4_Normalize": "Normalize"}
    dump("modules.json", [{"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
                          for i, (path, kind) in enumerate(kinds.items())])
    with open(os.path.join(model, "1_Pooling", "config.json"), encoding="utf-8") as f:
        dump("1_Pooling/config.json", json.load(f))
    size = len(layer.parameters[1])
    dump("3_Dense/config.json", {"in_features": size, "out_features": size, "bias": True,
                                 "activation_function": "torch.nn.modules.linear.Identity"})
    parts = [("linear.bias", layer.parameters[1].astype("<f2")), ("linear.weight", layer.parameters[0].astype("<f2"))]
    header, at = {}, 0
    for name, values in parts:
        header[name] = {"dtype": "F16", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(out, "3_Dense", "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(values.tobytes() for _, values in parts))
    with open(os.path.join(model, "model.safetensors"), "rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    path = os.path.join(out, "attend.json")
    own = {}
    if os.path.exists(path):  # its calibration stays
        with open(path, encoding="utf-8") as f:
            own = json.load(f)
    dump("attend.json", {"task": "embed", "base": "e5", "cosine_floor": 0, "licence": "MIT", **own,
                         "base_digest": digest})
    weight, bias = (values.astype(np.float64) for _, values in reversed(parts))
    with open(os.path.join(out, "golden.jsonl"), "w", encoding="utf-8") as f:
        for text, vector in zip(GOLDEN, normalize(golden.astype(np.float64) @ weight.T + bias)):
            f.write(json.dumps({"text": text, "embedding": [round(float(v), 6) for v in vector]}, ensure_ascii=False) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--attend", default="build/attend")
    p.add_argument("--model", default="var/models/e5")
    p.add_argument("--without", default="", help="a set that is left out")
    p.add_argument("--cache", default="", help="file of vectors that were computed before")
    p.add_argument("--steps", type=int, default=500)
    p.add_argument("--temperature", type=float, default=0.05)
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--decay", type=float, default=0.1)
    p.add_argument("--documents", type=float, default=0.3, help="weight of loss 2")
    p.add_argument("--keep", type=float, default=1, help="weight of loss 3")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    sets, documents = read_sets(a.data, a.without)
    rows = [(name, label, text) for name, pairs in sets.items() for label, text in pairs]
    news = [row[-1] for name in ("finance-zh-news.tsv", "finance-zh-noise.tsv")
            for row in (line.split("\t") for _, line in enumerate(open(os.path.join(HERE, "data", name), encoding="utf-8")
                                                                  .read().splitlines()[1:]))]
    texts = [t for _, _, t in rows] + [t for _, t in documents] + news + GOLDEN
    vectors = embed([a.attend, "embed", "--model", a.model], texts, a.cache)
    numbers = {key: i for i, key in enumerate(dict.fromkeys((name, label) for name, label, _ in rows))}
    labels = np.array([numbers[name, label] for name, label, _ in rows])
    names = np.array([name for name, _, _ in rows])
    groups = [np.flatnonzero(names == name) for name in sets]
    at = np.cumsum([len(rows), len(documents), len(news)])
    x, stored, chinese, golden = np.split(vectors, at)
    asked = None
    if documents:
        asked = np.flatnonzero(names == "bitext-support"), stored, np.array([numbers["bitext-support", label] for label, _ in documents])
    write(a.out, train(x, labels, groups, asked, chinese, a), a.model, golden)


if __name__ == "__main__":
    main()
