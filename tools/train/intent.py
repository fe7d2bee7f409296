#!/usr/bin/env python3
"""Train models/support-intent: one LoRA adapter, head `intent` (150 intents, out-of-scope detection) and head `banking`.

    python intent.py --base MINILM_DIR --data DATA_DIR --out models/support-intent

Out-of-scope training rows get the uniform distribution as target, so that the largest probability of a text that fits no
intent is small; the answer abstains when it is below the threshold.
"""
import argparse
import os

import numpy as np
import torch

import lora

# Our own sentences; their logits are checked whenever the model is loaded.
GOLDEN = [
    "what's left on my savings account right now",
    "please wake me at a quarter past six tomorrow",
    "My card was swallowed by the machine at the station. What now?",
    "The transfer I made on Monday still shows as pending",
    "could you book me a table for four in Lisbon tonight",
    "why do otters hold hands while they sleep",
    "I was charged twice for the same coffee!",
    "How do I reset the PIN — I've forgotten it",
]


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--base", required=True, help="folder of all-MiniLM-L6-v2 (model.safetensors, tokenizer.json)")
    a.add_argument("--data", required=True, help="folder with clinc150/ and banking77/")
    a.add_argument("--out", required=True)
    a.add_argument("--no-banking", action="store_true", help="train the head `intent` alone")
    a.add_argument("--epochs", type=float, nargs=2, default=(5, 5), metavar=("CLINC", "BANKING"))
    a.add_argument("--smoothing", type=float, default=0.05)
    a.add_argument("--oos-repeat", type=int, default=6, help="times each out-of-scope row is seen in an epoch")
    a.add_argument("--keep", type=float, default=0.97,
                   help="share of in-scope texts that are to be answered: sets the threshold")
    a.add_argument("--rank", type=int, default=16)
    a.add_argument("--lr", type=float, default=1e-3)
    a.add_argument("--head-lr", type=float, default=1e-2)
    a.add_argument("--dropout", type=float, default=0.1, help="hidden-state dropout of the encoder")
    a.add_argument("--batch", type=int, default=32)
    a.add_argument("--max-length", type=int, default=64)
    a.add_argument("--calibrate", type=int, default=5, help="percent of the training rows kept for calibration")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--threads", type=int, default=2)
    a = a.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)

    sets = {"intent": "clinc150"} if a.no_banking else {"intent": "clinc150", "banking": "banking77"}
    data = {split: {h: lora.read_tsv(os.path.join(a.data, name, split + ".tsv")) for h, name in sets.items()}
            for split in ("train", "dev")}
    heads = {h: sorted({label for label, _ in rows} - {"oos"}) for h, rows in data["train"].items()}
    index = {h: {**{label: i for i, label in enumerate(labels)}, "oos": -1} for h, labels in heads.items()}
    encode = lora.Encode(a.base, a.max_length, urls_stripped=False)
    model = lora.Classifier(a.base, heads, a.rank, 2 * a.rank, hidden_dropout=a.dropout)

    tasks, kept = [], {}
    for head, epochs in zip(heads, a.epochs):
        rows = data["train"][head]
        # All out-of-scope rows are trained on: the threshold below comes from in-scope texts alone.
        kept[head] = [r for r in rows if r[0] != "oos" and lora.held_out(r[1], a.calibrate)]
        used = [r for r in rows if r[0] != "oos" and not lora.held_out(r[1], a.calibrate)]
        used += [r for r in rows if r[0] == "oos"] * a.oos_repeat
        tasks.append(lora.Task(head, encode([t for _, t in used]), [index[head][l] for l, _ in used], epochs,
                               a.smoothing))
        print(head, len(used), "training rows", len(kept[head]), "kept for calibration", flush=True)
    lora.train(model, tasks, lr=a.lr, head_lr=a.head_lr, batch=a.batch, seed=a.seed)

    def score(head, rows):
        return lora.logits(model, encode([t for _, t in rows]))[head], torch.tensor([index[head][l] for l, _ in rows])

    attend_heads, quality = [], {}
    for head in heads:
        z_kept, y_kept = score(head, kept[head])
        temperature = lora.fit_temperature(z_kept, y_kept)
        z, y = score(head, data["dev"][head])
        inside = y >= 0
        quality[head] = {"split": "dev", **lora.figures(z[inside], y[inside], temperature)}
        entry = {"name": head, "labels": heads[head], "problem_type": "single_label_classification",
                 "temperature": temperature}
        if head == "intent":
            top_kept = (z_kept / temperature).softmax(1).amax(1).numpy()
            threshold = round(float(np.quantile(top_kept, 1 - a.keep)), 4)
            top, pred = ((z / temperature).softmax(1)).max(1)
            for q in (0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.92, 0.9):
                t = np.quantile(top_kept, 1 - q)
                print(f"answer {q:.2f} of the in-scope texts: threshold {t:.4f}, dev in-scope answered "
                      f"{(top[inside] >= t).float().mean():.4f}, out-of-scope recall {(top[~inside] < t).float().mean():.4f}")
            answered = top >= threshold
            quality[head]["out_of_scope"] = {
                "auroc": round(lora.auroc(top[inside].numpy(), top[~inside].numpy()), 4),
                "recall": round((~answered[~inside]).float().mean().item(), 4),
                "in_scope_answered": round(answered[inside].float().mean().item(), 4),
                "accuracy_of_answered": round((pred == y)[inside & answered].float().mean().item(), 4),
                "in_scope_accuracy_with_abstention": round(((pred == y) & answered)[inside].float().mean().item(), 4),
                "rows": int((~inside).sum())}
            entry["out_of_scope"] = {"method": "max_probability", "threshold": threshold, "label": "out_of_scope"}
        attend_heads.append(entry)
        print(head, "temperature", temperature, quality[head], flush=True)
    attend = {"task": "classify", "pooling": "mean", "normalize": False, "max_length": a.max_length,
              "strip_urls": False, "heads": attend_heads, "languages": ["en"], "licence": "MIT",
              "quality": quality}
    lora.write(a.out, model, "minilm", attend, GOLDEN, encode)


if __name__ == "__main__":
    main()
