#!/usr/bin/env python3
"""What a larger encoder makes of the sentiment of every training text: soft labels for finance.py --soft.

    python larger.py --base MPNET_DIR --data DATA_DIR --out larger.jsonl

LoRA over all-mpnet-base-v2 (12 layers of 768, eight times MiniLM's work a token), trained on the sentiment set alone. Its
predictions are kept, not the model.
"""
import argparse
import json

import torch

import finance
import lora


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    finance.add_options(a)
    a.add_argument("--base", required=True, help="folder of all-mpnet-base-v2 (model.safetensors, tokenizer.json)")
    a.add_argument("--out", required=True, help="JSON lines: text, probabilities of " + ", ".join(finance.SENTIMENT))
    a.add_argument("--epochs", type=float, default=3)
    a.add_argument("--lr", type=float, default=4e-4)
    a.add_argument("--head-lr", type=float, default=1e-3)
    a.add_argument("--max-length", type=int, default=64)
    a = a.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)

    data = finance.load(a.data)
    index = {label: i for i, label in enumerate(finance.SENTIMENT)}
    encode = lora.Encode(a.base, a.max_length, urls_stripped=True)
    model = lora.Classifier(a.base, {"sentiment": finance.SENTIMENT}, a.rank, 2 * a.rank)
    used = finance.training_rows(data["train"]["sentiment"], "sentiment", a)
    task = lora.Task("sentiment", encode([t for _, t in used]), [index[l] for l, _ in used], a.epochs, a.smoothing)
    lora.train(model, [task], lr=a.lr, head_lr=a.head_lr, seed=a.seed, bf16=not a.fp32)

    dev = data["dev"]["sentiment"]
    z = lora.logits(model, encode([t for _, t in dev]))["sentiment"]
    print("dev", lora.figures(z, [index[l] for l, _ in dev], 1.0), flush=True)
    texts = sorted({t for rows in (*data["train"].values(), used) for _, t in rows})
    probabilities = lora.logits(model, encode(texts))["sentiment"].softmax(1)
    with open(a.out, "w", encoding="utf-8") as f:
        for text, p in zip(texts, probabilities.tolist()):
            f.write(json.dumps({"text": text, "sentiment": [round(x, 5) for x in p]}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
