#!/usr/bin/env python3
"""Train models/finance: one LoRA adapter, heads `sentiment` and `topic`, on financial tweets.

    python finance.py --base MINILM_DIR --data DATA_DIR --out models/finance

With --teacher DIR … (earlier results of this script) every training text also gets the teachers' distribution on both
heads: the heads then learn from each other's texts, and noisy labels weigh less. --soft names what a larger encoder makes of
the same texts' sentiment (larger.py), which then stands in place of the teachers'.
"""
import argparse
import json
import os
import re

import torch

import formal_news
import lora

SENTIMENT = ["negative", "neutral", "positive"]
RENAME = {"bearish": "negative", "bullish": "positive", "neutral": "neutral"}

# Our own sentences; their logits are checked whenever the model is loaded.
GOLDEN = [
    "Shares of Northfield plunged 12% after it cut its full-year outlook",
    "The bank raised its dividend and beat profit forecasts",
    "Halden Motors will report third-quarter results on Thursday",
    "Crude slips for a third day as inventories build https://example.com/oil",
    "$ABCX - Abacus upgraded to Buy, price target raised to $54",
    "Central bank leaves its key rate at 4.25% and signals a cut in June",
    "Gold steadies near a two-week high; silver & copper drift",
    "Kestrel Pharma names a new chief executive — the third in two years",
]


def snake(label):
    """'M&A | Investments' -> 'm_a_investments'"""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def labelled(data, name, split, rename):
    """(label, text) rows of DATA/name/split.tsv"""
    return [(rename(label), text) for label, text in lora.read_tsv(os.path.join(data, name, split + ".tsv"))]


def load(data):
    """{split: {head: (label, text) rows}}"""
    return {split: {"sentiment": labelled(data, "twitter-fin-sentiment", split, RENAME.get),
                    "topic": labelled(data, "twitter-fin-topic", split, snake)} for split in ("train", "dev")}


def training_rows(rows, head, a):
    """Those that are not kept for calibration, and for sentiment the formal sentences."""
    used = [r for r in rows if not lora.held_out(r[1], a.calibrate)]
    return used + formal_news.sentences(a.formal) if head == "sentiment" else used


def add_options(parser):
    """Those that larger.py has too, and that must be the same where its predictions are used."""
    parser.add_argument("--data", required=True, help="folder with twitter-fin-sentiment/ and twitter-fin-topic/")
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--formal", type=int, default=220, help="generated formal sentences per sentiment label")
    parser.add_argument("--calibrate", type=int, default=5, help="percent of the training rows kept for temperatures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fp32", action="store_true",
                        help="no bf16 autocast: many times faster where the CPU lacks bf16")
    parser.add_argument("--threads", type=int, default=2)


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(a)
    a.add_argument("--base", required=True, help="folder of all-MiniLM-L6-v2 (model.safetensors, tokenizer.json)")
    a.add_argument("--out", required=True)
    a.add_argument("--teacher", nargs="+", default=[], metavar="DIR",
                   help="model directories whose mean prediction is mixed into the targets")
    a.add_argument("--soft", metavar="FILE", help="larger.py's prediction for every training text, in place of the teachers'")
    a.add_argument("--mix", type=float, nargs=2, default=(0.5, 0.5), metavar=("SENTIMENT", "TOPIC"),
                   help="share of the prediction in the target of a text's own head")
    a.add_argument("--other", type=float, default=0.5, help="weight of the prediction as the target of the other head")
    a.add_argument("--epochs", type=float, nargs=2, default=(5, 4), metavar=("SENTIMENT", "TOPIC"))
    a.add_argument("--lr", type=float, default=1e-3)
    a.add_argument("--head-lr", type=float, default=2e-3)
    a.add_argument("--dropout", type=float, default=0.1, help="hidden-state dropout of the encoder")
    a.add_argument("--lora-dropout", type=float, default=0.05)
    a.add_argument("--batch", type=int, default=32)
    a.add_argument("--max-length", type=int, default=96)
    a = a.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)

    data = load(a.data)
    heads = {"sentiment": SENTIMENT, "topic": sorted({label for label, _ in data["train"]["topic"]})}
    index = {h: {label: i for i, label in enumerate(labels)} for h, labels in heads.items()}
    encode = lora.Encode(a.base, a.max_length, urls_stripped=True)
    model = lora.Classifier(a.base, heads, a.rank, 2 * a.rank, a.lora_dropout, a.dropout)

    tasks, texts, kept = [], {}, {}
    for (head, train_rows), epochs, mix in zip(data["train"].items(), a.epochs, a.mix):
        kept[head] = [r for r in train_rows if lora.held_out(r[1], a.calibrate)]
        used = training_rows(train_rows, head, a)
        texts[head] = [t for _, t in used]
        tasks.append(lora.Task(head, encode(texts[head]), [index[head][l] for l, _ in used], epochs, a.smoothing, mix))
        print(head, len(used), "training rows", len(kept[head]), "kept for calibration", flush=True)
    for path in a.teacher:
        teacher, _, attend = lora.read(a.base, path)
        temperature = {h["name"]: h["temperature"] for h in attend["heads"]}
        for t in tasks:
            z = lora.logits(teacher, t.rows)
            for h in heads:     # a finished model has more heads than are trained here
                t.soft[h] = t.soft.get(h, 0) + (z[h] / temperature[h]).softmax(1) / len(a.teacher)
        print("teacher read:", path, flush=True)
    if a.soft:
        with open(a.soft, encoding="utf-8") as f:
            soft = {row["text"]: row["sentiment"] for row in map(json.loads, f)}
        missing = [text for t in tasks for text in texts[t.head] if text not in soft]
        if missing:
            raise SystemExit(f"{a.soft}: no prediction for {len(missing)} texts, as {missing[0]!r}: made with the same --data "
                             "and --formal?")
        for t in tasks:
            t.soft["sentiment"] = torch.tensor([soft[text] for text in texts[t.head]])
    lora.train(model, tasks, lr=a.lr, head_lr=a.head_lr, batch=a.batch, seed=a.seed, other=a.other, bf16=not a.fp32)

    attend_heads, quality = [], {}
    for head in heads:
        def score(part):
            return (lora.logits(model, encode([t for _, t in part]))[head],
                    torch.tensor([index[head][l] for l, _ in part]))
        temperature = lora.fit_temperature(*score(kept[head]))
        quality[head] = {"split": "dev", **lora.figures(*score(data["dev"][head]), temperature)}
        attend_heads.append({"name": head, "labels": heads[head], "problem_type": "single_label_classification",
                             "temperature": temperature})
        print(head, "temperature", temperature, quality[head], flush=True)
    attend_heads[0]["polarity"] = {"negative": -1, "neutral": 0, "positive": 1}
    attend = {"task": "classify", "pooling": "mean", "normalize": False, "max_length": a.max_length,
              "strip_urls": True, "heads": attend_heads, "languages": ["en"], "licence": "MIT",
              "quality": quality}
    lora.write(a.out, model, "minilm", attend, GOLDEN, encode)


if __name__ == "__main__":
    main()
