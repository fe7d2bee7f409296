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
import formal_news
import lora


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--base", required=True, help="folder of all-mpnet-base-v2 (model.safetensors, tokenizer.json)")
    a.add_argument("--data", required=True, help="folder with twitter-fin-sentiment/ and twitter-fin-topic/")
    a.add_argument("--out", required=True, help="JSON lines: text, probabilities of " + ", ".join(finance.SENTIMENT))
    a.add_argument("--epochs", type=float, default=3)
    a.add_argument("--smoothing", type=float, default=0.05)
    a.add_argument("--rank", type=int, default=16)
    a.add_argument("--lr", type=float, default=4e-4)
    a.add_argument("--head-lr", type=float, default=1e-3)
    a.add_argument("--max-length", type=int, default=64)
    a.add_argument("--formal", type=int, default=220, help="generated formal sentences per label, as for finance.py")
    a.add_argument("--calibrate", type=int, default=5, help="percent of the training rows left out, as by finance.py")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--fp32", action="store_true", help="no bf16 autocast: many times faster where the CPU lacks bf16")
    a.add_argument("--threads", type=int, default=2)
    a = a.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)

    data = finance.load(a.data)
    index = {label: i for i, label in enumerate(finance.SENTIMENT)}
    encode = lora.Encode(a.base, a.max_length, urls_stripped=True)
    model = lora.Classifier(a.base, {"sentiment": finance.SENTIMENT}, a.rank, 2 * a.rank)
    formal = formal_news.sentences(a.formal)
    used = [r for r in data["train"]["sentiment"] if not lora.held_out(r[1], a.calibrate)] + formal
    task = lora.Task("sentiment", encode([t for _, t in used]), [index[l] for l, _ in used], a.epochs, a.smoothing)
    lora.train(model, [task], lr=a.lr, head_lr=a.head_lr, seed=a.seed, bf16=not a.fp32)

    dev = data["dev"]["sentiment"]
    z = lora.logits(model, encode([t for _, t in dev]))["sentiment"]
    print("dev", lora.figures(z, [index[l] for l, _ in dev], 1.0), flush=True)
    texts = sorted({t for rows in (*data["train"].values(), formal) for _, t in rows})
    probabilities = lora.logits(model, encode(texts))["sentiment"].softmax(1)
    with open(a.out, "w", encoding="utf-8") as f:
        for text, p in zip(texts, probabilities.tolist()):
            f.write(json.dumps({"text": text, "sentiment": [round(x, 5) for x in p]}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
