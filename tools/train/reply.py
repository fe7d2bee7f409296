#!/usr/bin/env python3
"""Fits the score of /v1/reply: the weights, calibration and bounds that stand in tasks/kb/match.c and store/lexical.c.

    tools/train/reply.py [--attend build/attend] [--model var/models/minilm] [--kb models/support-kb] [--data DATA_DIR]
                         [--pair-weight 0.5]

Vectors come from `attend embed`; features and scores are computed here as in C. Three steps, each printed:

1. weights: accuracy of the first answer where every stored text is left out in turn and asks (kb texts), where
   banking77's training questions do (DATA_DIR), and on the even lines of eval.jsonl; the odd lines beside them;
2. half and the logistic of confidence: maximum likelihood on "the first answer is right" over the even lines and, for
   English, CLINC150's out-of-scope questions (DATA_DIR/clinc150) among the negatives;
3. decisions for values of the knee, even and odd lines apart.

DATA_DIR holds banking77/train.tsv and clinc150/{train,dev}.tsv; what it lacks is left out. Needs numpy.
"""
import argparse
import collections
import json
import math
import os
import random
import re
import subprocess

import numpy as np

NEAR, PROMPT_GAIN, REPEAT_LOSS, SCRIPT_LOSS, SAME_WORDS = 5, 0.10, 0.05, 0.30, 0.9999
CHOSEN = {"latin": (0.40, 0.40, 0.10, 0.10), "cjk": (0.10, 0, 0.45, 0.45)}  # best, near, lexical, covered
GRID = {"latin": [(1, 0, 0, 0), (0.85, 0, 0.15, 0), (0.5, 0.5, 0, 0), (0.5, 0.3, 0.1, 0.1), (0.3, 0.5, 0.1, 0.1),
                  (0.4, 0.4, 0.2, 0), (0.4, 0.4, 0, 0.2), (0.3, 0.3, 0.2, 0.2)],
        "cjk": [(0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0.5, 0.5), (0.1, 0, 0.6, 0.3), (0.1, 0, 0.3, 0.6), (0.3, 0, 0.35, 0.35)]}


def is_cjk(c):
    c = ord(c)
    return (0x3040 <= c <= 0x30ff or 0x3400 <= c <= 0x9fff or 0xac00 <= c <= 0xd7af or 0xf900 <= c <= 0xfaff or
            0x20000 <= c <= 0x3ffff)


def is_word(c):
    o = ord(c)
    if o < 0x80:
        return c.isdigit() or "a" <= c <= "z"
    return (o >= 0xc0 and not is_cjk(c) and not 0x2000 <= o <= 0x206f and not 0x3000 <= o <= 0x303f and
            not 0xff00 <= o <= 0xff65)


def grams(text):
    """store_grams: kind and characters instead of hashes."""
    out, word, previous = set(), "", ""
    for run in re.findall(r"((.)\2*)", text + " ", re.DOTALL):
        c = run[1]
        if is_cjk(c) and len(run[0]) >= 3:
            out.add("r" + c)
            previous = ""
            continue
        for c in run[0]:
            c = c.lower() if "A" <= c <= "Z" else c
            if is_word(c):
                word += c
            elif word:
                marked = "<" + word + ">"
                out.update(["w" + word], ("t" + marked[i:i + 3] for i in range(len(marked) - 2)))
                word = ""
            if is_cjk(c):
                out.update(["c" + c], ["p" + previous + c] if previous else [])
            previous = c if is_cjk(c) else ""
    return out


def script(text):
    seen = [c for c in text if c > " "]
    wide = sum(is_cjk(c) or 0x3000 <= ord(c) <= 0x303f or 0xff00 <= ord(c) <= 0xff65 for c in seen)
    return "cjk" if seen and wide / len(seen) > 0.3 else "latin"


class Embedder:
    def __init__(self, attend, model):
        self.command, self.vectors = [attend, "embed", "--model", model], {}

    def load(self, texts):
        new = sorted(set(texts) - self.vectors.keys())
        lines = [json.dumps({"input": new[i:i + 64]}) for i in range(0, len(new), 64)]
        out = subprocess.run(self.command, input="\n".join(lines).encode(), stdout=subprocess.PIPE, check=True).stdout
        rows = [d["embedding"] for line in out.decode().splitlines() for d in json.loads(line)["data"]]
        for text, row in zip(new, np.array(rows, dtype=np.float32)):
            self.vectors[text] = row / np.linalg.norm(row)

    def __getitem__(self, text):
        return self.vectors[text]


class Index:
    """A knowledge base as store/kb_view.c builds it; entries: the texts of each."""
    pair_weight = 0.5

    def __init__(self, entries, embedder):
        self.embedder, self.n = embedder, len(entries)
        self.texts = [t for e in entries for t in e]
        self.entry = np.array([i for i, e in enumerate(entries) for _ in e])
        self.first = np.searchsorted(self.entry, np.arange(self.n + 1))
        self.vectors = np.array([embedder[t] for t in self.texts])
        self.grams = [grams(t) for t in self.texts]
        counts = collections.Counter(g for own in self.grams for g in own)
        self.idf = {g: math.log(1 + len(self.texts) / (1 + c)) for g, c in counts.items()}
        self.unseen = math.log(1 + len(self.texts))
        self.norms = np.array([math.sqrt(self.square(g)) for g in self.grams])
        self.having = collections.defaultdict(list)
        for t, own in enumerate(self.grams):
            for g in own:
                self.having[g].append(t)

    def weight(self, gram):
        return (self.pair_weight if gram[0] == "p" else 1) * self.idf.get(gram, self.unseen)

    def square(self, own):
        return sum(self.weight(g) ** 2 for g in own)

    def features(self, text, without=None):
        """[entries][best, near, lexical, covered]; `without` is a stored text that is to be left out."""
        own, cosines = grams(text), self.vectors @ self.embedder[text]
        common, out, total = np.zeros(len(self.texts)), np.zeros((self.n, 4)), max(self.square(own), 1e-9)
        covered = np.zeros(self.n)
        for g in own:
            texts = [t for t in self.having.get(g, ()) if t != without]
            common[texts] += self.weight(g) ** 2
            covered[list(set(self.entry[texts]))] += self.weight(g) ** 2
        likeness = common / (np.maximum(self.norms, 1e-9) * math.sqrt(total))
        if without is not None:
            cosines[without] = -np.inf
        for i in range(self.n):
            part = np.sort(cosines[self.first[i]:self.first[i + 1]])[::-1]
            part = part[np.isfinite(part)][:NEAR]
            lexical = likeness[self.first[i]:self.first[i + 1]].max()
            best = part[0] if len(part) else -1
            out[i] = best, best if lexical > SAME_WORDS else part.mean() if len(part) else -1, lexical, covered[i] / total
        return out


def left_out(index, kind, picked):
    """Stored texts that ask in turn; entries of one text are not asked."""
    return [(index.features(index.texts[t], t), index.entry[t]) for t in picked
            if script(index.texts[t]) == kind and index.first[index.entry[t] + 1] - index.first[index.entry[t]] > 1]


def accuracy(cases, weights):
    return np.mean([np.argmax(f @ np.array(weights)) == y for f, y in cases]) if cases else math.nan


class Shop:
    """models/support-kb and its questions, scored as tasks/kb/match.c does."""

    def __init__(self, folder, embedder, outside):
        with open(os.path.join(folder, "kb.jsonl"), encoding="utf-8") as f:
            self.kb = sorted((json.loads(line) for line in f), key=lambda e: e["id"])
        with open(os.path.join(folder, "eval.jsonl"), encoding="utf-8") as f:
            self.lines = [json.loads(line) for line in f] + outside
        stored = [[e["question"], *e["alternates"]] for e in self.kb]
        self.place = {e["id"]: i for i, e in enumerate(self.kb)}
        self.answers = {e["answer"]: i for i, e in reversed(list(enumerate(self.kb)))}
        self.script = np.array([script(e["question"]) for e in self.kb])
        self.alone = np.array([not e.get("context_only") for e in self.kb])
        embedder.load([t for e in stored for t in e] + [t for line in self.lines for t in self.asked(line)])
        self.index = Index(stored, embedder)
        for line in self.lines:
            line["features"] = [self.index.features(t) for t in self.asked(line)]

    @staticmethod
    def asked(line):
        turns = [t["content"] for t in line.get("context") or [] if t["role"] == "user"]
        return [line["question"], turns[-1] + " " + line["question"], turns[-1]] if turns else [line["question"]]

    def score(self, line, weights):
        s = [f @ np.array(weights) for f in line["features"]]
        other = self.script != script(line["question"])
        if len(s) == 1:
            return np.where(self.alone, s[0], -9) - SCRIPT_LOSS * other
        said = line["context"][-1]
        previous = self.answers.get(said["content"]) if said["role"] == "assistant" else None
        previous = np.argmax(s[2] - 9 * other) if previous is None else previous
        fused = (s[0] + s[1]) / 2
        fused[previous] -= REPEAT_LOSS
        fused[[self.place[p] for p in self.kb[previous].get("prompts", []) if p in self.place]] += PROMPT_GAIN
        return fused - SCRIPT_LOSS * other

    def top(self, kind, weights):
        """A row a line: s of the first, its lead, whether it is right, whether the second is, answerable, group."""
        rows = []
        for i, line in enumerate(line for line in self.lines if script(line["question"]) == kind):
            s = self.score(line, weights)
            first, second = np.argsort(-s, kind="stable")[:2]
            right = -1 if line["expect"] is None else self.place[line["expect"]]
            rows.append((s[first], s[first] - s[second], first == right, second == right, right >= 0,
                         2 if line.get("outside") else i % 2))
        return np.array(rows, dtype=float)


def logistic(x, y, l2=0.01):
    """Newton's method; the last coefficient is the bias."""
    x = np.c_[x, np.ones(len(x))]
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        w -= np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + l2 * np.eye(len(w)), x.T @ (p - y) + l2 * w)
    return w


def score_of(s, half, knee):
    return np.clip(np.where(s < half, 0.5 * s / half, np.where(
        s < half + 0.2, 0.5 + (knee - 0.5) * (s - half) / 0.2, knee + (1 - knee) * (s - half - 0.2) / (0.8 - half))), 0, 1)


def decisions(rows, half, knee):
    first, second = score_of(rows[:, 0], half, knee), score_of(rows[:, 0] - rows[:, 1], half, knee)
    handoff, known = first < 0.5, rows[:, 4] == 1
    clarify = ~handoff & (second >= 0.5) & (first - second < 0.05)
    answered, right, offered = ~handoff & ~clarify, rows[:, 2] == 1, (rows[:, 2] == 1) | (rows[:, 3] == 1)
    parts = [answered & right, answered & ~right, clarify & offered, clarify & ~offered, handoff]
    return ("answered right %.3f wrong %.3f  clarify right %.3f wrong %.3f  handoff %.3f" %
            tuple(p[known].mean() for p in parts) + "  outside answered %.3f" % (~handoff)[~known].mean())


def fit(shop, kind, other_cases):
    kb_cases = left_out(shop.index, kind, range(len(shop.index.texts)))
    print(f"\n{kind}: weights (best, near, lexical, covered), accuracy of the first answer")
    for weights in [CHOSEN[kind]] + GRID[kind]:
        rows = shop.top(kind, weights)
        known = rows[rows[:, 4] == 1]
        print("  %-28s kb texts %.3f  banking77 %.3f  eval even %.3f  odd %.3f" % (
            weights, accuracy(kb_cases, weights), accuracy(other_cases, weights),
            known[known[:, 5] == 0, 2].mean(), known[known[:, 5] == 1, 2].mean()))
    rows = shop.top(kind, CHOSEN[kind])
    even, odd = rows[rows[:, 5] != 1], rows[rows[:, 5] == 1]
    slope, bias = logistic(even[:, :1], even[:, 2])
    per_s, per_lead, per_bias = logistic(even[:, :2], even[:, 2])
    p = 1 / (1 + np.exp(-(odd[:, :2] @ [per_s, per_lead] + per_bias)))
    half = -bias / slope
    print(f"{kind}: half {half:.3f}  per_s {per_s:.2f}  per_lead {per_lead:.2f}  bias {per_bias:.2f}  "
          f"odd lines: Brier {np.mean((p - odd[:, 2]) ** 2):.3f}")
    for bound in (half - 0.02, half, half + 0.02):
        for knee in (0.66, 0.70, 0.74, 0.78, 0.84):
            print(f"  half {bound:.3f} knee {knee:.2f} even", decisions(rows[rows[:, 5] == 0], bound, knee))
            print("                      odd ", decisions(odd, bound, knee))


def tsv(path):
    if not path or not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [tuple(line.rstrip("\n").split("\t")) for line in f][1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attend", default="build/attend")
    parser.add_argument("--model", default="var/models/minilm")
    parser.add_argument("--kb", default="models/support-kb")
    parser.add_argument("--data", default="")
    parser.add_argument("--pair-weight", type=float, default=Index.pair_weight, help="of pairs of CJK characters")
    args = parser.parse_args()
    Index.pair_weight = args.pair_weight
    embedder = Embedder(args.attend, args.model)
    outside = [{"question": text, "expect": None, "outside": True} for part in ("train", "dev") for label, text in
               tsv(args.data and os.path.join(args.data, "clinc150", part + ".tsv")) if label == "oos"]
    shop = Shop(args.kb, embedder, outside)
    banking = collections.defaultdict(list)
    for label, text in tsv(args.data and os.path.join(args.data, "banking77", "train.tsv")):
        banking[label].append(text)
    cases = []
    if banking:
        embedder.load([t for texts in banking.values() for t in texts])
        index = Index(list(banking.values()), embedder)
        cases = left_out(index, "latin", random.Random(1).sample(range(len(index.texts)), 500))
    fit(shop, "latin", cases)
    fit(shop, "cjk", [])


if __name__ == "__main__":
    main()
