#!/usr/bin/env python3
"""Train a SASRec next-item model on an interaction log and write it as a model directory.

    python recommend.py events.csv --leave-one-out --out my-model    # CSV with a header line and columns user,item,time
    python recommend.py ml-100k.inter --integer-ids --leave-one-out --out models/movies-sasrec

Beside the model, a table of what stood beside what is tried (below, "follows"). It is written (follows.jsonl) when it
gains on the validation items.

A log is a RecBole .inter file (tab-separated, `user_id:token  item_id:token  …  timestamp:float`) or a CSV file. With
--leave-one-out the last item of every user is the test target and the last but one the validation target; the best
epoch is chosen by NDCG@10 on the latter, over all items the user has not seen (all items with --no-mask-seen).
--valid-only-search stops there.
"""
import argparse
import copy
import csv
import json
import math
import os
import time
from collections import Counter, defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn


# ---------------------------------------------------------------------------------------------------------------- data

def read_log(path):
    """{user: [item, …]} in order of time, ids as strings; equal times keep the order of the file."""
    with open(path, encoding="utf-8", newline="") as f:
        recbole = path.endswith(".inter")
        rows = csv.DictReader(f, delimiter="\t" if recbole else ",", quoting=csv.QUOTE_NONE if recbole else 0)
        user, item, when = (("user_id:token", "item_id:token", "timestamp:float") if recbole
                            else ("user", "item", "time"))
        users = defaultdict(list)
        for r in rows:
            users[r[user]].append((float(r[when]), r[item]))
    return {u: [i for _, i in sorted(e, key=lambda e: e[0])] for u, e in users.items()}


def crops(sequences, length, rng):
    """One epoch: every sequence once, cut at a random phase into pieces of length + 1 (inputs and next items)."""
    out = []
    for s in sequences:
        if len(s) <= length + 1:
            out.append(s)
            continue
        end = len(s) - rng.integers(0, length // 2)
        while end > 1:
            out.append(s[max(0, end - length - 1):end])
            end -= length
    return [out[i] for i in rng.permutation(len(out))]


# --------------------------------------------------------------------------------------------------------------- model

class SASRec(nn.Module):
    """Kang & McAuley 2018 in the form of common PyTorch ports: the residual of a block starts at the normalised query,
    keys and values are not normalised, embeddings are scaled by sqrt(d), positions count from 1, items score by their
    own input embeddings."""

    def __init__(self, items, d, blocks, heads, length, dropout, bias, act):
        super().__init__()
        self.item_emb = nn.Embedding(items + 1, d, padding_idx=0)
        self.pos_emb = nn.Embedding(length + 1, d)
        self.attention_layernorms = nn.ModuleList(nn.LayerNorm(d, 1e-8) for _ in range(blocks))
        self.attention_layers = nn.ModuleList(
            nn.MultiheadAttention(d, heads, dropout, batch_first=True) for _ in range(blocks))
        self.forward_layernorms = nn.ModuleList(nn.LayerNorm(d, 1e-8) for _ in range(blocks))
        self.forward_layers = nn.ModuleList(nn.ModuleDict({"conv1": nn.Conv1d(d, d, 1), "conv2": nn.Conv1d(d, d, 1)})
                                            for _ in range(blocks))
        self.last_layernorm = nn.LayerNorm(d, 1e-8)
        if bias:
            self.item_bias = nn.Parameter(torch.zeros(items + 1))
        self.dropout = nn.Dropout(dropout)
        self.act = F.gelu if act == "gelu" else F.relu
        nn.init.normal_(self.item_emb.weight, std=0.02)
        nn.init.normal_(self.pos_emb.weight, std=0.02)
        with torch.no_grad():
            self.item_emb.weight[0] = 0
            self.pos_emb.weight[0] = 0

    def forward(self, items):
        """[B, T] item indices, 0 behind the end -> [B, T, d]. The causal mask keeps the padding out of the answer."""
        n = items.shape[1]
        x = self.item_emb(items) * math.sqrt(self.item_emb.embedding_dim) + self.pos_emb(torch.arange(1, n + 1))
        x = self.dropout(x)
        future = torch.ones(n, n, dtype=torch.bool).triu(1)
        for norm1, attend, norm2, ffn in zip(self.attention_layernorms, self.attention_layers,
                                             self.forward_layernorms, self.forward_layers):
            q = norm1(x)
            x = q + attend(q, x, x, attn_mask=future, need_weights=False)[0]
            y = norm2(x)
            h = self.dropout(self.act(F.linear(y, ffn["conv1"].weight[:, :, 0], ffn["conv1"].bias)))
            x = y + self.dropout(F.linear(h, ffn["conv2"].weight[:, :, 0], ffn["conv2"].bias))
        return self.last_layernorm(x)

    def scores(self, h):
        s = h @ self.item_emb.weight.T
        return s + self.item_bias if hasattr(self, "item_bias") else s


def pad(rows):
    out = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for i, r in enumerate(rows):
        out[i, :len(r)] = r
    return torch.from_numpy(out)


def first_seen(inputs, items):
    """[sequences, items + 1]: the position at which an item first stands in a sequence; a large number where it never
    does."""
    first = torch.full((len(inputs), items + 1), 1 << 14, dtype=torch.int16)
    return first.scatter_reduce_(1, inputs, torch.arange(inputs.shape[1], dtype=torch.int16).expand_as(inputs), "amin")


def full_softmax(model, h, target, out, smoothing):
    """Cross-entropy over all items that are not `out`."""
    s = model.scores(h)
    out[range(len(target)), target] = False
    out[:, 0] = True
    logp = s.masked_fill(out, -1e9).log_softmax(1)
    loss = -logp.gather(1, target.unsqueeze(1)).mean()
    if smoothing:
        loss = (1 - smoothing) * loss - smoothing * (logp.masked_fill(out, 0).sum(1) / (~out).sum(1)).mean()
    return loss


def score_some(model, hidden, real, target, negatives):
    """Scores of each position's target [n, 1] and of the negatives of its sequence [n, k]."""
    table, bias = model.item_emb.weight, getattr(model, "item_bias", None)
    positive = (hidden[real] * table[target]).sum(1, keepdim=True)
    negative = hidden @ table[negatives].transpose(1, 2)
    if bias is None:
        return positive, negative[real]
    return positive + bias[target].unsqueeze(1), (negative + bias[negatives].unsqueeze(1))[real]


def sampled_softmax(positive, negative, out, items):
    """Cross-entropy of the target against uniform negatives, which stand for all items: log(items / k) is added."""
    negative = (negative + math.log((items - 1) / negative.shape[1])).masked_fill(out, -1e9)
    return -(positive - torch.cat((positive, negative), 1).logsumexp(1, keepdim=True)).mean()


def beta_of(negatives, items, t=0.75):
    """gSASRec's exponent: 1 without calibration (t = 0), the share of sampled items with all of it (t = 1)."""
    alpha = negatives / (items - 1)
    return alpha * (t * (1 - 1 / alpha) + 1 / alpha)


def gbce(positive, negative, out, items):
    """gSASRec (Petrov & Macdonald 2023): binary cross-entropy with the positive's probability to the power beta."""
    beta = beta_of(negative.shape[1], items)
    return (-beta * F.logsigmoid(positive).squeeze(1) - F.logsigmoid(-negative).masked_fill(out, 0).sum(1)).mean()


def start_at_popularity(model, sequences, loss_name, n_negatives):
    """Output biases at the best answer of a loss that knows nothing of the history. Without this the first thing that
    binary losses teach is that almost everything is improbable, which Adam writes into all item vectors in one
    direction; they hardly differ then, and the model never learns anything else."""
    items = model.item_emb.num_embeddings - 1
    count = np.bincount(np.concatenate([s[1:] for s in sequences]), minlength=items + 1) + 1.0
    share = count / count[1:].sum()
    if loss_name == "gbce":
        share = share * beta_of(n_negatives, items) * (items - 1) / n_negatives
    with torch.no_grad():
        model.item_bias.copy_(torch.from_numpy(np.log(share)).float())


def train_epoch(model, sequences, length, opt, batch, rng, mask_seen, smoothing, loss_name="full", n_negatives=256):
    model.train()
    items = model.item_emb.num_embeddings - 1
    total = count = 0
    pieces = crops(sequences, length, rng)
    for k in range(0, len(pieces), batch):
        part = pad(pieces[k:k + batch])
        inputs, targets = part[:, :-1], part[:, 1:]
        real = targets > 0
        row, position = real.nonzero(as_tuple=True)
        target = targets[real]
        hidden = model(inputs)
        # An item already in the history is never recommended: it takes no part as another choice either.
        first = first_seen(inputs, items) if mask_seen else None
        if loss_name == "full":
            out = (first[row] <= position.unsqueeze(1) if mask_seen else
                   torch.zeros(len(target), items + 1, dtype=torch.bool))
            loss = full_softmax(model, hidden[real], target, out, smoothing)
        else:
            negatives = torch.from_numpy(rng.integers(1, items + 1, (len(part), n_negatives)))
            out = negatives[row] == target.unsqueeze(1)
            if mask_seen:
                out |= first.gather(1, negatives)[row] <= position.unsqueeze(1)
            positive, negative = score_some(model, hidden, real, target, negatives)
            loss = {"sampled": sampled_softmax, "gbce": gbce}[loss_name](positive, negative, out, items)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        total, count = total + loss.item() * len(target), count + len(target)
    return total / count


# ---------------------------------------------------------------------------------------------------------- evaluation

def rank_metrics(ranks):
    ranks = np.asarray(ranks)
    return {"hr@10": round(float((ranks < 10).mean()), 4),
            "ndcg@10": round(float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean()), 4)}


def rank_of(scores, history, target, unseen):
    """Place (from 0) of the target among all items, or among those not in the history; ties count against it."""
    s = scores.copy()
    s[0] = -np.inf
    if unseen:
        s[[h for h in history if h != target]] = -np.inf
    return int((s >= s[target]).sum()) - 1


@torch.no_grad()
def evaluate(model, pairs, length, unseen):
    """pairs: [(history, target)]"""
    model.eval()
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]))
    ranks = []
    for k in range(0, len(order), 64):
        part = [pairs[i] for i in order[k:k + 64]]
        h = model(pad([p[0][-length:] for p in part]))
        last = h[range(len(part)), [min(len(p[0]), length) - 1 for p in part]]
        for s, (history, target) in zip(model.scores(last).numpy(), part):
            ranks.append(rank_of(s, history, target, unseen))
    return rank_metrics(ranks)


def baselines(sequences, pairs, items, unseen):
    """Popularity, and the table "what followed the last item" with popularity behind it."""
    popular = np.bincount([i for s in sequences for i in s], minlength=items + 1).astype(float)
    follows = np.zeros((items + 1, items + 1), dtype=np.float32)
    for s in sequences:
        np.add.at(follows, (s[:-1], s[1:]), 1)
    back_off = popular / (popular.max() + 1)
    return {"popularity": rank_metrics([rank_of(popular, h, t, unseen) for h, t in pairs]),
            "last_item_markov": rank_metrics([rank_of(follows[h[-1]] + back_off, h, t, unseen) for h, t in pairs])}


# -------------------------------------------------------------------------------------------------------------- follows

# What stood beside what: attentd raises an item's score by weight · ln(1 + scale · share), where share is that of the
# last item's row, decay times that of the item before it and so on, and own times the share of what followed the last
# item earlier in the same history.
TRIED = {"scale": (10, 30, 100, 300, 1000, 3000, 10000), "weight": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0),
         "decay": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7), "own": (0.0, 0.03, 0.1, 0.2, 0.3, 0.5)}
NEXT_MAX, BACK_MAX, PAIRS_MAX = 64, 8, 5000


def follows_of(sequences, both):
    """{item: [(neighbour, share of all its neighbours), …]}, the most frequent first, at most NEXT_MAX. A neighbour
    is what directly followed, with `both` also what directly went before: a basket has no order worth keeping."""
    counts = defaultdict(Counter)
    for s in sequences:
        for a, b in zip(s[:-1], s[1:]):
            counts[int(a)][int(b)] += 1
            if both:
                counts[int(b)][int(a)] += 1
    return {a: [(b, n / sum(c.values())) for b, n in sorted(c.items(), key=lambda e: (-e[1], e[0]))[:NEXT_MAX]]
            for a, c in counts.items()}


class Boosts:
    """What the table adds to the scores of all items after each history, for any choice of the four numbers."""

    def __init__(self, follows, histories, length, items):
        row, item, share, back = [], [], [], []

        def add(r, i, s, b):
            row.append(r), item.append(i), share.append(s), back.append(b)

        for r, h in enumerate(histories):
            h = [int(i) for i in h[-length:]]
            for b, last in enumerate(reversed(h[-BACK_MAX:])):
                for i, s in follows.get(last, ()):
                    add(r, i, s, b)
            own = [n for i, n in zip(h[:-1], h[1:]) if i == h[-1]]
            for n in own:
                add(r, n, 1 / len(own), -1)
        self.keys, self.at = np.unique(np.array(row, dtype=np.int64) * (items + 1) + np.array(item, dtype=np.int64),
                                       return_inverse=True)
        self.share, self.back = np.array(share), np.array(back, dtype=np.int64)

    def added(self, scores, scale, weight, decay, own):
        factor = np.where(self.back < 0, own, np.float64(decay) ** np.maximum(self.back, 0))
        share = np.bincount(self.at, weights=self.share * factor, minlength=len(self.keys))
        out = scores.copy()
        out.reshape(-1)[self.keys] += (weight * np.log1p(scale * share)).astype(np.float32)
        return out


@torch.no_grad()
def all_scores(model, pairs, length):
    model.eval()
    out = []
    for k in range(0, len(pairs), 64):
        part = pairs[k:k + 64]
        h = model(pad([p[0][-length:] for p in part]))
        out.append(model.scores(h[range(len(part)), [min(len(p[0]), length) - 1 for p in part]]).numpy())
    return np.concatenate(out)


def metrics_of(scores, pairs, unseen):
    return rank_metrics([rank_of(s, h, t, unseen) for s, (h, t) in zip(scores, pairs)])


def fit_follows(model, sequences, pairs, length, unseen):
    """The table and the numbers with the best NDCG@10 on the validation pairs, or None where none gains: each number in
    turn, the others held, until none moves."""
    pairs = pairs[::-(-len(pairs) // PAIRS_MAX)]
    scores = all_scores(model, pairs, length)
    plain, best = metrics_of(scores, pairs, unseen), None
    for both in (False, True):
        boosts = Boosts(follows_of(sequences, both), [h for h, _ in pairs], length, scores.shape[1] - 1)
        choice, known = {"scale": 1000, "weight": 1.0, "decay": 0.0, "own": 0.0}, {}

        def judge(**change):
            numbers = {**choice, **change}
            key = tuple(numbers.values())
            if key not in known:
                known[key] = metrics_of(boosts.added(scores, **numbers), pairs, unseen)
            return known[key]["ndcg@10"]

        while True:
            before = dict(choice)
            for name, values in TRIED.items():
                choice[name] = max(values, key=lambda v: (judge(**{name: v}), v == choice[name], -v))
            if choice == before:
                break
        print("follows:", "both sides" if both else "behind", choice, known[tuple(choice.values())], flush=True)
        if best is None or judge() > best[0]:
            best = (judge(), {**choice, "both": both})
    print("follows: without", plain, flush=True)
    return best[1] if best[0] > plain["ndcg@10"] else None


def with_follows(model, sequences, pairs, length, unseen, choice):
    numbers = {k: v for k, v in choice.items() if k != "both"}
    scores = all_scores(model, pairs, length)
    boosts = Boosts(follows_of(sequences, choice["both"]), [h for h, _ in pairs], length, scores.shape[1] - 1)
    return metrics_of(boosts.added(scores, **numbers), pairs, unseen)


def follows_rows(sequences, choice):
    rows = [{"index": a, "next": [[b, float(f"{share:.6g}")] for b, share in f]}
            for a, f in sorted(follows_of(sequences, choice["both"]).items())]
    return [{k: v for k, v in choice.items() if k != "both"}] + rows


# --------------------------------------------------------------------------------------------------------------- files

def as_stored(model, half):
    """Round the weights to the type of the file, so that what is measured is what a reader gets."""
    if half:
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(p.half().float())


@torch.no_grad()
def golden(model, items, length, seed):
    """Made-up histories with their top 10, far enough apart that rounding cannot change the order."""
    rng, out = np.random.default_rng(seed), []
    model.eval()
    for n in (1, 2, 5, 12, 40, length, length + 25):
        n = min(n, items // 2)
        while True:
            history = rng.choice(np.arange(1, items + 1), n, replace=False).tolist()
            s = model.scores(model(pad([history[-length:]]))[0, -1])
            s[[0] + history] = -torch.inf
            top, ids = s.topk(11)
            if (top[:-1] - top[1:]).min() > 1e-3:
                break
        out.append({"history": history, "topk_ids": ids[:10].tolist(),
                    "topk_scores": [float(f"{x:.9g}") for x in top[:10].tolist()]})
    return out


def write(out, model, config, attend, half, rows, golden_rows, follows=None):
    os.makedirs(out, exist_ok=True)
    save_file({n: (p.half() if half else p).contiguous() for n, p in model.state_dict().items()},
              os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    os.chmod(os.path.join(out, "model.safetensors"), 0o644)
    for name, value in (("config.json", config), ("attend.json", attend)):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            json.dump(value, f, indent=2)
            f.write("\n")
    for name, lines in (("golden.jsonl", golden_rows), ("items.jsonl", rows), ("follows.jsonl", follows)):
        if lines:
            with open(os.path.join(out, name), "w", encoding="utf-8") as f:
                f.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("log", nargs="?", help="RecBole .inter file, or CSV with columns user,item,time")
    a.add_argument("--log", dest="log_option", help="the same")
    a.add_argument("--out", help="model directory to write")
    a.add_argument("--integer-ids", action="store_true",
                   help="item ids are 1..N and are the item indices; no items.jsonl is written")
    a.add_argument("--leave-one-out", action="store_true")
    a.add_argument("--valid-only-search", action="store_true", help="with --leave-one-out: never look at the test items")
    a.add_argument("--refit", action="store_true",
                   help="with --leave-one-out: train again with the validation items, for the chosen number of epochs")
    a.add_argument("--hidden", type=int, default=64)
    a.add_argument("--blocks", type=int, default=2)
    a.add_argument("--heads", type=int, default=1)
    a.add_argument("--length", type=int, default=200, help="items of the history that are read")
    a.add_argument("--dropout", type=float, default=0.5)
    a.add_argument("--act", choices=("relu", "gelu"), default="gelu")
    a.add_argument("--output-bias", action=argparse.BooleanOptionalAction, default=True)
    a.add_argument("--mask-seen", action=argparse.BooleanOptionalAction, default=True,
                   help="nobody takes an item twice: seen items take no part in training targets and ranking")
    a.add_argument("--loss", choices=("full", "sampled", "gbce"), default="full",
                   help="softmax over all items; over sampled ones; gBCE of gSASRec")
    a.add_argument("--negatives", type=int, default=256, help="sampled items of each sequence a step")
    a.add_argument("--follows", action=argparse.BooleanOptionalAction, default=True,
                   help="with --leave-one-out: try a table of what followed what beside the model")
    a.add_argument("--follows-rule", type=json.loads, metavar="JSON",
                   help="write the table with these numbers, untried: what a run with --leave-one-out printed")
    a.add_argument("--smoothing", type=float, default=0.0)
    a.add_argument("--lr", type=float, default=1e-3)
    a.add_argument("--weight-decay", type=float, default=0.0)
    a.add_argument("--batch", type=int, default=16)
    a.add_argument("--epochs", type=int, default=100)
    a.add_argument("--patience", type=int, default=15)
    a.add_argument("--half", action=argparse.BooleanOptionalAction, default=True, help="store the weights in 16 bits")
    a.add_argument("--licence", default="unspecified")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--threads", type=int, default=2)
    parser, a = a, a.parse_args()
    a.log = a.log or a.log_option
    if not a.log:
        parser.error("which log? python recommend.py events.csv --out my-model")
    torch.set_num_threads(a.threads)

    log, rows = read_log(a.log), None
    count = Counter(i for s in log.values() for i in s)
    if a.integer_ids:
        index = {i: int(i) for i in count}
    else:
        # Most popular first: the numbers mean something to a reader, and a table cut short keeps what matters.
        index = {i: n for n, (i, _) in enumerate(sorted(count.items(), key=lambda e: (-e[1], e[0])), 1)}
        rows = [{"id": i, "index": n, "popularity": count[i]} for i, n in index.items()]
    items = max(index.values())
    users = [[index[i] for i in s] for s in log.values()]
    kept = [s for s in users if len(s) >= 3] if a.leave_one_out else users
    train = [s[:-2] for s in kept] if a.leave_one_out else users
    valid = [(s[:-2], s[-2]) for s in kept] if a.leave_one_out else []
    a.negatives = min(a.negatives, items)
    print(f"{len(users)} users, {items} items, {sum(map(len, users))} interactions", flush=True)

    def fit(sequences, epochs, pairs):
        torch.manual_seed(a.seed)
        rng = np.random.default_rng(a.seed)
        sequences = [np.array(s) for s in sequences if len(s) > 1]
        model = SASRec(items, a.hidden, a.blocks, a.heads, a.length, a.dropout, a.output_bias, a.act)
        if a.output_bias:
            start_at_popularity(model, sequences, a.loss, a.negatives)
        opt = torch.optim.AdamW(model.parameters(), lr=a.lr, betas=(0.9, 0.98), weight_decay=a.weight_decay)
        best, start = (-1.0, 0, None), time.time()
        for e in range(1, epochs + 1):
            loss = train_epoch(model, sequences, a.length, opt, a.batch, rng, a.mask_seen, a.smoothing,
                               a.loss, a.negatives)
            m = evaluate(model, pairs, a.length, a.mask_seen) if pairs else {}
            print(f"epoch {e}  loss {loss:.3f}  {m}  {time.time() - start:.0f} s", flush=True)
            if pairs and m["ndcg@10"] > best[0]:
                best = (m["ndcg@10"], e, copy.deepcopy(model.state_dict()), m)
            elif pairs and e - best[1] >= a.patience:
                break
        if pairs:
            model.load_state_dict(best[2])
            print("best epoch", best[1], best[3], flush=True)
            return model, best[1], best[3]
        return model, epochs, {}

    model, epochs, on_valid = fit(train, a.epochs, valid)
    quality, choice = {}, None
    if a.follows_rule:
        choice = {"decay": 0.0, "own": 0.0, "both": False, **a.follows_rule}
    elif a.leave_one_out and a.follows:
        choice = fit_follows(model, train, valid, a.length, a.mask_seen)
    if a.leave_one_out and not a.valid_only_search:
        train = [s[:-1] for s in kept]
        if a.refit:
            model, _, _ = fit(train, epochs, [])
        as_stored(model, a.half)
        test = [(s[:-1], s[-1]) for s in kept]
        quality = {"protocol": f"leave one out, all {'unseen ' if a.mask_seen else ''}items ranked",
                   "users": len(kept), "epochs": epochs, "valid": on_valid,
                   "test": evaluate(model, test, a.length, a.mask_seen),
                   **{k: {"test": v} for k, v in baselines(train, test, items, a.mask_seen).items()}}
        if choice:
            on_test = with_follows(model, train, test, a.length, a.mask_seen, choice)
            quality["with_follows"] = {**choice, "test": on_test}
        print(json.dumps(quality), flush=True)
    if a.out:
        as_stored(model, a.half)
        config = {"model_type": "sasrec", "num_items": items, "hidden_size": a.hidden, "num_hidden_layers": a.blocks,
                  "num_attention_heads": a.heads, "max_position_embeddings": a.length, "hidden_act": a.act,
                  "output_bias": a.output_bias, "layer_norm_eps": 1e-8, "scale_embedding": True, "pad_token_id": 0,
                  "pad_to_max_length": False, "torch_dtype": "float16" if a.half else "float32"}
        attend = {"task": "recommend", "items": "items.jsonl", "licence": a.licence, "quality": quality}
        write(a.out, model, config, attend, a.half, rows, golden(model, items, a.length, a.seed),
              follows_rows(train, choice) if choice else None)


if __name__ == "__main__":
    main()
