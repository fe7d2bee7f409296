#!/usr/bin/env python3
"""Move the decision borders of the finance heads: constants added to the biases, temperatures and figures anew.

    python shift_bias.py --base MINILM_DIR --data DATA_DIR --model run2 --sentiment 0 0 -0.5 --prior 0.4 --out models/finance

--sentiment: added to the logits of negative, neutral and positive. --prior: minus this many times the log share of a topic in
the training rows, so that rare topics are named more often (logit adjustment); it trades accuracy for macro-F1.
"""
import argparse
import os

import torch
import torch.nn.functional as F

import finance
import lora


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--base", required=True, help="folder of all-MiniLM-L6-v2 (model.safetensors, tokenizer.json)")
    a.add_argument("--data", required=True, help="folder with twitter-fin-sentiment/ and twitter-fin-topic/")
    a.add_argument("--model", required=True, help="model directory to start from")
    a.add_argument("--out", required=True)
    a.add_argument("--sentiment", type=float, nargs=3, default=(0, 0, 0), metavar=("NEGATIVE", "NEUTRAL", "POSITIVE"))
    a.add_argument("--prior", type=float, default=0.0)
    a.add_argument("--calibrate", type=int, default=5, help="percent of the training rows kept for temperatures")
    a.add_argument("--threads", type=int, default=2)
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    model, encode, attend = lora.read(a.base, a.model)
    for entry, name, rename in zip(attend["heads"], ("twitter-fin-sentiment", "twitter-fin-topic"),
                                   (finance.RENAME.get, finance.snake)):
        head, index = entry["name"], {label: i for i, label in enumerate(entry["labels"])}
        rows = {s: [(index[rename(label)], text) for label, text in lora.read_tsv(os.path.join(a.data, name, s + ".tsv"))]
                for s in ("train", "dev")}
        share = torch.bincount(torch.tensor([y for y, _ in rows["train"]]), minlength=len(index)) / len(rows["train"])
        rows["kept"] = [r for r in rows.pop("train") if lora.held_out(r[1], a.calibrate)]
        y = {s: torch.tensor([label for label, _ in r]) for s, r in rows.items()}
        z = {s: lora.logits(model, encode([text for _, text in r]))[head] for s, r in rows.items()}
        bias = model.heads[head].bias
        old = bias.detach().clone()
        new = old + (torch.tensor(a.sentiment) if head == "sentiment" else -a.prior * share.log())
        for turn, value in (("before", old), ("after", new.half().float())):
            bias.data = value
            now = {s: v + (value - old) for s, v in z.items()}
            t = lora.fit_temperature(now["kept"], y["kept"])
            for s in now:
                print(head, turn, s, "temperature", t, lora.figures(now[s], y[s], t),
                      f"loss {F.cross_entropy(now[s] / t, y[s]):.4f}", flush=True)
        entry["temperature"] = t
        attend["quality"][head] = {"split": "dev", **lora.figures(now["dev"], y["dev"], t)}
    lora.write(a.out, model, "minilm", attend, finance.GOLDEN, encode)


if __name__ == "__main__":
    main()
