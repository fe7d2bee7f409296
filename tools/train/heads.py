#!/usr/bin/env python3
"""Linear heads over a frozen encoder from labelled texts: logistic regression on the vectors of `attend embed`.

  finance-zh  sentiment, topic, importance and noise of Chinese financial news over e5: a directory of its own
    python tools/train/heads.py zh --model var/models/e5 --out models/finance-zh
  finance     importance and noise of English news beside the heads of the adapter, which stay as they are
    python tools/train/heads.py en --out models/finance

Texts are in tools/train/data/, written for this project. One text in five, chosen by its hash, is held out: the figures
are from it; the penalty comes from folds of the rest, the temperature from their predictions; the head that is written
is fitted to all but the held-out texts. Needs numpy.
"""
import argparse
import csv
import hashlib
import json
import pathlib
import struct
import subprocess

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "data"
VALUES = {  # of the labels: what a score is made of
    "sentiment": {"negative": -1, "neutral": 0, "positive": 1},
    "importance": {"low": 0, "medium": 0.5, "high": 1},
    "noise": {"news": 0, "noise": 1},
}
GOLDEN_ZH = [
    "国际油价连跌三日，炼厂下调开工率",
    "公司上半年净利润同比增长四成，拟中期分红",
    "监管部门对该公司信息披露违规立案调查",
    "央行今日开展逆回购操作，利率不变",
    "加微信领取内部牛股，稳赚不赔",
]
LABELS = {
    "sentiment": ["negative", "neutral", "positive"],
    "topic": [  # those of the adapter
        "analyst_update",
        "company_product_news",
        "currencies",
        "dividend",
        "earnings",
        "energy_oil",
        "fed_central_banks",
        "financials",
        "general_news_opinion",
        "gold_metals_materials",
        "ipo",
        "legal_regulation",
        "m_a_investments",
        "macro",
        "markets",
        "personnel_change",
        "politics",
        "stock_commentary",
        "stock_movement",
        "treasuries_corporate_debt",
    ],
    "importance": ["low", "medium", "high"],
    "noise": ["news", "noise"],
}
PENALTIES = (0.1, 0.3, 1, 3)  # inverse strength, of standardised features
SETS = {
    "zh": (("finance-zh-news.tsv", "sentiment topic importance"), ("finance-zh-noise.tsv", "")),
    "en": (("finance-en-news.tsv", "importance"), ("finance-en-noise.tsv", "")),
}


def read(language):
    """[(text, {head: label})]"""
    rows = []
    for name, heads in SETS[language]:
        with open(DATA / name, encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                own = {head: LABELS[head].index(line[head]) for head in heads.split()}
                rows.append((line["text"], own | {"noise": 0 if heads else 1}))
    return rows


def encoder(args):
    """An adapter gives its own vectors; it finds its base in var/models."""
    return args.model if args.language == "zh" else str(args.out)


def embed(attend, model, texts):
    lines = [json.dumps({"input": texts[i : i + 64]}) for i in range(0, len(texts), 64)]
    command = [attend, "embed", "--model", model]
    out = subprocess.run(command, input="\n".join(lines).encode(), stdout=subprocess.PIPE, check=True).stdout
    return np.array([d["embedding"] for line in out.decode().splitlines() for d in json.loads(line)["data"]])


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def fit(x, y, n, c, balanced):
    """Weights [n][features + 1], bias last: accelerated gradient descent on a convex loss, from zero."""
    counts = np.bincount(y, minlength=n)
    weight = (len(y) / (n * counts))[y] if balanced else np.ones(len(y))
    x1, target = np.c_[x, np.ones(len(x))].astype(np.float32), np.eye(n, dtype=np.float32)[y]
    weight = weight.astype(np.float32)
    w = v = np.zeros((n, x1.shape[1]), dtype=np.float32)
    rate = 4 / ((x1**2).sum(1) * weight).mean()
    for _ in range(250):
        look = w + 0.9 * v
        gradient = ((softmax(x1 @ look.T) - target) * weight[:, None]).T @ x1 / len(y)
        gradient[:, :-1] += look[:, :-1] / (c * len(y))
        v = 0.9 * v - rate * gradient
        w = w + v
    return w


def logits(x, w):
    return x @ w[:, :-1].T + w[:, -1]


def macro_f1(y, predicted, n):
    scores = []
    for k in range(n):
        hit = ((predicted == k) & (y == k)).sum()
        scores.append(2 * hit / max((predicted == k).sum() + (y == k).sum(), 1))
    return float(np.mean(scores))


def auroc(y, score):
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    positive = y == 1
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(y) - n)))


def train(name, x, y, held):
    n, rng = len(LABELS[name]), np.random.default_rng(1)
    mean, scale = x[~held].mean(0), x[~held].std(0) + 1e-6
    z = (x - mean) / scale
    rest = np.flatnonzero(~held)
    fold = rng.permutation(len(rest)) % 4
    best = None
    for c in PENALTIES:
        out = np.zeros((len(rest), n))
        for k in range(4):
            w = fit(z[rest[fold != k]], y[rest[fold != k]], n, c / 100, True)
            out[fold == k] = logits(z[rest[fold == k]], w)
        figure = macro_f1(y[rest], out.argmax(1), n)
        if best is None or figure > best[0] + 0.002:
            best = (figure, c, out)
    figure, c, out = best
    losses = {t: -np.log(softmax(out / t)[np.arange(len(rest)), y[rest]] + 1e-12).mean() for t in np.geomspace(0.05, 5, 60)}
    temperature = float(min(losses, key=losses.get))
    w = fit(z[rest], y[rest], n, c / 100, True)
    predicted = logits(z[held], w)
    figures = {
        "split": "held out",
        "rows": int(held.sum()),
        "accuracy": round(float((predicted.argmax(1) == y[held]).mean()), 4),
        "macro_f1": round(macro_f1(y[held], predicted.argmax(1), n), 4),
        "cross_validated_macro_f1": round(figure, 4),
    }
    if n == 2:
        figures["auroc"] = round(auroc(y[held], predicted[:, 1] - predicted[:, 0]), 4)
    weight = w[:, :-1] / scale
    print(name, "labels", np.bincount(y, minlength=n), "penalty", c, "temperature", round(temperature, 2), figures)
    return weight.astype("<f4"), (w[:, -1] - weight @ mean).astype("<f4"), temperature, figures


def write_safetensors(path, tensors):
    header, parts, at = {}, [], 0
    for key in sorted(tensors):
        dtype, data = tensors[key]
        part = data.tobytes()
        header[key] = {"dtype": dtype, "shape": list(data.shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    kinds = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    tensors = {}
    for key, own in json.loads(data[8 : 8 + size]).items():
        if key != "__metadata__":
            begin, end = (8 + size + at for at in own["data_offsets"])
            tensors[key] = (own["dtype"], np.frombuffer(data[begin:end], kinds[own["dtype"]]).reshape(own["shape"]))
    return tensors


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("language", choices=SETS)
    options.add_argument("--attend", default="build/attend")
    options.add_argument("--model", help="zh: the encoder's directory")
    options.add_argument("--out", required=True, type=pathlib.Path)
    args = options.parse_args()
    rows = read(args.language)
    x = embed(args.attend, encoder(args), [text for text, _ in rows])
    held = np.array([hashlib.sha256(text.encode()).digest()[0] % 5 == 0 for text, _ in rows])
    heads, tensors = [], {}
    for name in LABELS:
        chosen = np.array([name in labels for _, labels in rows])
        if not chosen.any():
            continue
        y = np.array([labels[name] for _, labels in rows if name in labels])
        weight, bias, temperature, figures = train(name, x[chosen], y, held[chosen])
        heads.append((name, temperature, figures))
        tensors[f"heads.{name}.weight"], tensors[f"heads.{name}.bias"] = ("F32", weight), ("F32", bias)
    write(args, heads, tensors)
    golden(args, tensors)


def write(args, heads, tensors):
    path = args.out / "attend.json"
    old = json.loads(path.read_text()) if path.exists() else {"task": "classify", "heads": [], "quality": {}}
    if args.language == "zh":
        digest = hashlib.sha256((pathlib.Path(args.model) / "model.safetensors").read_bytes()).hexdigest()
        old |= {"base": "e5", "base_digest": digest, "pooling": "mean", "normalize": True, "max_length": 512}
        old |= {"strip_urls": True, "languages": ["zh"], "licence": "MIT"}
        file, prefix, kept = "model.safetensors", "", {}
    else:
        file, prefix = "adapter_model.safetensors", "base_model.model."
        kept = read_safetensors(args.out / file)
    new = []
    for name, temperature, figures in heads:
        head = {"name": name, "labels": LABELS[name], "problem_type": "single_label_classification"}
        head["temperature"] = round(temperature, 4)
        if name in VALUES:
            head["polarity"] = VALUES[name]
        new.append(head)
        old["quality"][name] = figures
    names = [head["name"] for head in new]
    old["heads"] = [head for head in old["heads"] if head["name"] not in names] + new
    args.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(old, indent=2) + "\n")
    write_safetensors(args.out / file, kept | {prefix + key: value for key, value in tensors.items()})


def golden(args, tensors):
    """What the new heads say goes into every line of golden.jsonl."""
    path = args.out / "golden.jsonl"
    if args.language == "zh":
        lines = [{"text": text, "head_logits": {}} for text in GOLDEN_ZH]
    else:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    x = embed(args.attend, encoder(args), [line["text"] for line in lines])
    for line, vector in zip(lines, x, strict=True):
        for key in tensors:
            _, name, kind = key.split(".")
            if kind == "weight":
                values = tensors[key][1] @ vector + tensors[f"heads.{name}.bias"][1]
                line["head_logits"][name] = [float(f"{value:.9g}") for value in values]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
