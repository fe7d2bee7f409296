#!/usr/bin/env python3
"""Fit one linear head again on the pooled features of a finished adapter, everything else left as it is.

    python refit_head.py --base MINILM_DIR --data DATA_DIR --model run1 --head banking --out models/support-intent

Minimises the cross entropy against smoothed labels, over the training rows, plus anchor * |W - W0|² with the present weights W0:
plain logistic regression from zero is worse here, because the adapter has seen these rows and their features are too easy.
"""
import argparse
import json
import os

import torch
import torch.nn.functional as F

import finance
import intent
import lora

SETS = {"banking": ("banking77", lambda label: label, intent.GOLDEN),
        "sentiment": ("twitter-fin-sentiment", finance.RENAME.get, finance.GOLDEN),
        "topic": ("twitter-fin-topic", finance.snake, finance.GOLDEN)}


@torch.no_grad()
def features(model, rows, batch=64):
    """Pooled hidden states of every row, fp32 with the merged weights."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    out = torch.zeros(len(rows), model.bert.config.hidden_size)
    for s in range(0, len(order), batch):
        part = order[s:s + batch]
        out[part] = model.pooled(*lora.pad([rows[i] for i in part]))
    return out


def fit(x, y, weight, bias, smoothing, anchor, iterations=40):
    """Weights and bias of a linear head, started from and held near the given ones."""
    first = weight
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    opt = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def loss():
        opt.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, y, label_smoothing=smoothing) + anchor * ((weight - first) ** 2).sum()
        value.backward()
        return value
    opt.step(loss)
    return weight.detach(), bias.detach()


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--base", required=True, help="folder of all-MiniLM-L6-v2 (model.safetensors, tokenizer.json)")
    a.add_argument("--data", required=True, help="folder with the data sets")
    a.add_argument("--model", required=True, help="model directory to start from")
    a.add_argument("--head", required=True, choices=sorted(SETS))
    a.add_argument("--out", required=True)
    a.add_argument("--smoothing", type=float, default=0.1)
    a.add_argument("--anchor", type=float, default=0.1)
    a.add_argument("--calibrate", type=int, default=5, help="percent of the training rows kept for temperatures")
    a.add_argument("--features", metavar="FILE", help="keep the features here, or read them from here if it exists")
    a.add_argument("--threads", type=int, default=2)
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    model, encode, attend = lora.read(a.base, a.model)
    entry = next(h for h in attend["heads"] if h["name"] == a.head)
    folder, rename, golden = SETS[a.head]
    index = {label: i for i, label in enumerate(entry["labels"])}
    rows = {s: [(index[rename(l)], t) for l, t in lora.read_tsv(os.path.join(a.data, folder, s + ".tsv"))]
            for s in ("train", "dev")}
    if a.features and os.path.exists(a.features):
        x = torch.load(a.features)
    else:
        x = {s: features(model, encode([t for _, t in r])) for s, r in rows.items()}
        if a.features:
            torch.save(x, a.features)
    y = {s: torch.tensor([label for label, _ in r]) for s, r in rows.items()}
    kept = torch.tensor([lora.held_out(t, a.calibrate) for _, t in rows["train"]])

    head = model.heads[a.head]
    for turn in ("before", "after"):
        if turn == "after":
            w, b = fit(x["train"][~kept], y["train"][~kept], head.weight.data.clone(), head.bias.data.clone(),
                       a.smoothing, a.anchor)
            head.weight.data, head.bias.data = w.half().float(), b.half().float()
        z = {s: x[s] @ head.weight.data.T + head.bias.data for s in x}
        t = lora.fit_temperature(z["train"][kept], y["train"][kept])
        dev = lora.figures(z["dev"], y["dev"], t)
        print(turn, "temperature", t, "kept", lora.figures(z["train"][kept], y["train"][kept], t), "dev", dev,
              f"loss at the temperature: kept {F.cross_entropy(z['train'][kept] / t, y['train'][kept]):.4f},"
              f" dev {F.cross_entropy(z['dev'] / t, y['dev']):.4f}", flush=True)
    entry["temperature"] = t
    attend["quality"][a.head] = {"split": "dev", **dev}
    lora.write(a.out, model, "minilm", attend, golden, encode)
    print(json.dumps(attend["quality"][a.head]))


if __name__ == "__main__":
    main()
