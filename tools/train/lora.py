"""Multi-head LoRA classifiers on a sentence encoder (BERT, MPNet): the shared part of finance.py, larger.py and intent.py.

One adapter (rank-r updates of six dense layers in every block) and one linear head per task read the same encoder pass;
the input of a head is the mean of the last hidden states over the attention mask. What is written is a PEFT checkpoint
plus attend.json (labels, calibration, figures) and golden.jsonl (inputs with expected logits), see tools/train/README.md.
"""
import hashlib
import json
import math
import os
import re
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModel

TARGETS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
URL = re.compile(rb"https?://[^ \t\n\v\f\r]*")


# ---------------------------------------------------------------------------------------------------------------- text

def strip_urls(text):
    """Blank out every byte of an http(s) address, exactly as the server does before it tokenises."""
    return URL.sub(lambda m: b" " * len(m.group()), text.encode()).decode()


class Encode:
    """Text to token ids with the special tokens, cut to max_length tokens."""

    def __init__(self, base, max_length, urls_stripped):
        self.tokenizer = Tokenizer.from_file(os.path.join(base, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length)
        self.urls_stripped = urls_stripped

    def __call__(self, texts):
        if self.urls_stripped:
            texts = [strip_urls(t) for t in texts]
        return [e.ids for e in self.tokenizer.encode_batch(texts)]


def read_tsv(path):
    """(label, text) rows of a tab-separated file with a header line."""
    with open(path, encoding="utf-8") as f:
        next(f)
        return [line.rstrip("\n").split("\t", 1) for line in f]


def held_out(text, percent):
    """A fixed slice of the training rows: kept from training to fit temperatures and thresholds, chosen by hash so
    that it does not move when rows are added."""
    return int(hashlib.sha256(("calibrate:" + text).encode()).hexdigest(), 16) % 100 < percent


# --------------------------------------------------------------------------------------------------------------- model

class Dropout(nn.Module):
    """Dropout whose masks are slices, at random places, of one long random mask made beforehand: drawing fresh random
    numbers for every element took a quarter of the training time on a CPU."""
    size = 1 << 24
    generator = torch.Generator().manual_seed(0)

    def __init__(self, p):
        super().__init__()
        self.p = p
        self.pool = (torch.rand(self.size, generator=self.generator) >= p).bfloat16() / (1 - p)

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        if 2 * x.numel() > self.size:
            return F.dropout(x, self.p, True)
        at = int(torch.randint(self.size - x.numel(), (1,), generator=self.generator))
        return x * self.pool[at:at + x.numel()].view(x.shape).to(x.dtype)


class LoraLinear(nn.Module):
    """A frozen dense layer plus scale * B(A(x)). The frozen weight is kept a second time in bf16 for training, so that
    autocast does not convert it on every step."""

    def __init__(self, linear, rank, alpha, dropout):
        super().__init__()
        self.register_buffer("weight", linear.weight.data.clone(), persistent=False)
        self.register_buffer("bias", linear.bias.data.clone(), persistent=False)
        self.register_buffer("weight16", linear.weight.data.bfloat16(), persistent=False)
        self.register_buffer("bias16", linear.bias.data.bfloat16(), persistent=False)
        self.lora_A = nn.Parameter(torch.empty(rank, linear.in_features))
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scale, self.dropout = alpha / rank, dropout
        self.merged = None

    def merge(self):
        self.merged = self.weight + self.scale * (self.lora_B @ self.lora_A)

    def forward(self, x):
        if self.merged is not None and not self.training:
            return F.linear(x, self.merged, self.bias)
        bf16 = torch.is_autocast_enabled("cpu")
        y = F.linear(x, self.weight16 if bf16 else self.weight, self.bias16 if bf16 else self.bias)
        return torch.add(y, F.linear(F.linear(self.dropout(x), self.lora_A), self.lora_B), alpha=self.scale)


class Classifier(nn.Module):
    def __init__(self, base, heads, rank=16, alpha=32, dropout=0.05, hidden_dropout=0.1):
        """heads: {name: [labels]}"""
        super().__init__()
        # Tweets are short: plain attention is faster here, forward and backward, than the fused CPU kernel.
        self.bert = AutoModel.from_pretrained(base, add_pooling_layer=False, attn_implementation="eager",
                                              hidden_dropout_prob=hidden_dropout, attention_probs_dropout_prob=0.0)
        self.bert.requires_grad_(False)
        self.config = dict(r=rank, lora_alpha=alpha, lora_dropout=dropout)
        self.labels = {h: list(l) for h, l in heads.items()}
        inner, outer = Dropout(dropout), Dropout(hidden_dropout)
        for name, module in list(self.bert.named_modules()):
            parent, _, leaf = name.rpartition(".")
            if isinstance(module, nn.Linear):
                setattr(self.bert.get_submodule(parent), leaf, LoraLinear(module, rank, alpha, inner))
            elif isinstance(module, nn.Dropout) and module.p > 0:
                setattr(self.bert.get_submodule(parent), leaf, outer)
        width = self.bert.config.hidden_size
        self.heads = nn.ModuleDict({h: nn.Linear(width, len(l)) for h, l in heads.items()})
        for head in self.heads.values():
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def lora_layers(self):
        return [(n, m) for n, m in self.bert.named_modules() if isinstance(m, LoraLinear)]

    def pooled(self, ids, mask):
        ids = ids.masked_fill(mask == 0, self.bert.config.pad_token_id)     # MPNet counts positions by it
        h = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        m = mask.unsqueeze(-1).float()
        return (h * m).sum(1) / m.sum(1)

    def state(self):
        """The trained tensors under their PEFT names."""
        out = {}
        for name, m in self.lora_layers():
            out[f"base_model.model.{name}.lora_A.weight"] = m.lora_A
            out[f"base_model.model.{name}.lora_B.weight"] = m.lora_B
        for name, m in self.heads.items():
            out[f"base_model.model.heads.{name}.weight"] = m.weight
            out[f"base_model.model.heads.{name}.bias"] = m.bias
        return out

    def load(self, tensors):
        with torch.no_grad():
            for name, p in self.state().items():
                p.copy_(tensors[name].float())
        for _, m in self.lora_layers():
            m.merge()


def pad(rows):
    n = max(map(len, rows))
    ids = torch.zeros(len(rows), n, dtype=torch.long)
    mask = torch.zeros(len(rows), n, dtype=torch.long)
    for i, r in enumerate(rows):
        ids[i, :len(r)] = torch.tensor(r)
        mask[i, :len(r)] = 1
    return ids, mask


@torch.no_grad()
def logits(model, rows, batch=64):
    """{head: [rows, labels]} in fp32 with the merged weights."""
    model.eval()
    for _, m in model.lora_layers():
        m.merge()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    out = {h: torch.zeros(len(rows), len(l)) for h, l in model.labels.items()}
    for s in range(0, len(order), batch):
        part = order[s:s + batch]
        v = model.pooled(*pad([rows[i] for i in part]))
        for h, head in model.heads.items():
            out[h][part] = head(v)
    return out


# ------------------------------------------------------------------------------------------------------------ training

class Task:
    """Training rows of one head. target: label index per row, or -1 for "none of them" (uniform target); mix: share of a
    teacher's prediction, where there is one, in the target."""

    def __init__(self, head, rows, target, epochs, smoothing=0.0, mix=0.5):
        self.head, self.rows, self.target = head, rows, torch.tensor(target)
        self.epochs, self.smoothing, self.mix = epochs, smoothing, mix
        self.soft = {}          # {head: probabilities of a teacher for every row}


def batches(task, size, rng):
    """One epoch of batches of near-equal length: shuffled, sorted inside windows of 50 batches, shuffled again."""
    order = rng.permutation(len(task.rows))
    out = []
    for s in range(0, len(order), size * 50):
        window = sorted(order[s:s + size * 50], key=lambda i: len(task.rows[i]))
        out += [window[k:k + size] for k in range(0, len(window), size)]
    rng.shuffle(out)
    return out


def row_targets(task, part, labels):
    """Target distribution of the task's own head: the smoothed label (uniform for rows without one), mixed with a
    teacher's prediction where there is one."""
    t = task.target[part]
    n = len(labels)
    own = torch.full((len(part), n), task.smoothing / n)
    own[range(len(part)), t.clamp(min=0)] += 1 - task.smoothing
    own[t < 0] = 1 / n
    if task.head in task.soft:
        own = (1 - task.mix) * own + task.mix * task.soft[task.head][part]
    return own


def train(model, tasks, *, lr=1e-3, head_lr=2e-3, batch=32, warmup=0.06, weight_decay=0.01, clip=1.0, seed=1,
          other=0.5, bf16=True, log_every=100):
    """AdamW, linear warm-up then linear to zero. The batches of all tasks are shuffled together, each is of one task.
    other: weight of the teacher on the other heads; bf16: autocast, which helps where the processor has bf16 and costs time
    where it has not."""
    rng = np.random.default_rng(seed)
    steps = []
    for e in range(math.ceil(max(t.epochs for t in tasks))):
        epoch = []
        for t in tasks:
            b = batches(t, batch, rng)
            share = min(1.0, max(0.0, t.epochs - e))
            epoch += [(t, p) for p in b[:round(share * len(b))]]
        rng.shuffle(epoch)
        steps += epoch
    lora = [p for _, m in model.lora_layers() for p in (m.lora_A, m.lora_B)]
    heads = list(model.heads.parameters())
    opt = torch.optim.AdamW([{"params": lora, "lr": lr}, {"params": heads, "lr": head_lr}],
                            betas=(0.9, 0.98), weight_decay=weight_decay)
    total, warm = len(steps), max(1, int(warmup * len(steps)))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: (s + 1) / warm if s < warm else (total - s) / (total - warm))
    model.train()
    seen, start = {t.head: [] for t in tasks}, time.time()
    for s, (task, part) in enumerate(steps):
        ids, mask = pad([task.rows[i] for i in part])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            v = model.pooled(ids, mask)
        own = row_targets(task, part, model.labels[task.head])
        loss = F.cross_entropy(model.heads[task.head](v), own)
        seen[task.head].append(loss.item())
        for h, soft in task.soft.items():
            if h != task.head:
                loss = loss + other * F.cross_entropy(model.heads[h](v), soft[part])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lora + heads, clip)
        opt.step()
        schedule.step()
        if (s + 1) % log_every == 0 or s + 1 == total:
            took = time.time() - start
            print(f"step {s + 1}/{total}  " + "  ".join(f"{h} {np.mean(l[-100:]):.3f}" for h, l in seen.items() if l)
                  + f"  {took:.0f} s, {took / (s + 1) * (total - s - 1):.0f} s to go", flush=True)
    # Round to the type of the file: everything measured from here on is what a reader of the file gets.
    model.load({n: p.detach().half() for n, p in model.state().items()})


# ------------------------------------------------------------------------------------------------------------- figures

def fit_temperature(z, y):
    """The T that minimises the negative log-likelihood of softmax(z / T)."""
    grid = torch.exp(torch.linspace(math.log(0.25), math.log(5), 600))
    return round(float(min(grid, key=lambda t: F.cross_entropy(z / t, y))), 4)


def ece(p, y, bins=15):
    """Expected calibration error: |accuracy - confidence| over equal-width bins of the largest probability."""
    conf, pred = p.max(1)
    right = (pred == y).float()
    which = (conf * bins).long().clamp(max=bins - 1)
    return sum(abs((right[which == b].mean() - conf[which == b].mean()).item()) * (which == b).float().mean().item()
               for b in range(bins) if (which == b).any())


def macro_f1(pred, y, n):
    f = []
    for c in range(n):
        tp = ((pred == c) & (y == c)).sum().item()
        total = (pred == c).sum().item() + (y == c).sum().item()
        if total:
            f.append(2 * tp / total)
    return sum(f) / len(f)


def figures(z, y, temperature):
    y = torch.as_tensor(y)
    pred = z.argmax(1)
    return {"accuracy": round((pred == y).float().mean().item(), 4), "macro_f1": round(macro_f1(pred, y, z.shape[1]), 4),
            "ece_raw": round(ece(z.softmax(1), y), 4), "ece": round(ece((z / temperature).softmax(1), y), 4),
            "rows": len(y)}


def auroc(inside, outside):
    """Probability that a score of `inside` is above one of `outside` (ties count half)."""
    s = np.concatenate([inside, outside])
    _, inverse, count = np.unique(s, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    n, m = len(inside), len(outside)
    return float((rank[:n].sum() - n * (n + 1) / 2) / (n * m))


# --------------------------------------------------------------------------------------------------------------- files

def write(out, model, base_name, attend, golden, encode):
    """A PEFT directory over a BERT, whose layers TARGETS names."""
    os.makedirs(out, exist_ok=True)
    save_file({n: p.detach().half().contiguous() for n, p in model.state().items()},
              os.path.join(out, "adapter_model.safetensors"), metadata={"format": "pt"})
    os.chmod(os.path.join(out, "adapter_model.safetensors"), 0o644)
    adapter = {"peft_type": "LORA", "base_model_name_or_path": base_name, "task_type": "SEQ_CLS", **model.config,
               "bias": "none", "fan_in_fan_out": False, "use_rslora": False, "target_modules": TARGETS,
               "modules_to_save": ["heads"], "inference_mode": True}
    for name, value in (("adapter_config.json", adapter), ("attend.json", attend)):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            json.dump(value, f, indent=2, ensure_ascii=False)
            f.write("\n")
    rows = [logits(model, encode([t]), 1) for t in golden]      # one at a time: no padding takes part
    with open(os.path.join(out, "golden.jsonl"), "w", encoding="utf-8") as f:
        for text, z in zip(golden, rows):
            line = {"text": text, "head_logits": {h: [float(f"{x:.9g}") for x in v[0].tolist()] for h, v in z.items()}}
            f.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(base, path):
    """A model directory written by write(): (model, encode, attend.json)."""
    with open(os.path.join(path, "attend.json"), encoding="utf-8") as f:
        attend = json.load(f)
    with open(os.path.join(path, "adapter_config.json"), encoding="utf-8") as f:
        c = json.load(f)
    model = Classifier(base, {h["name"]: h["labels"] for h in attend["heads"]}, c["r"], c["lora_alpha"])
    model.load(load_file(os.path.join(path, "adapter_model.safetensors")))
    return model, Encode(base, attend["max_length"], attend["strip_urls"]), attend
