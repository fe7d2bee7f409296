#!/usr/bin/env python3
"""Makes this folder's model: a T5 of 150,000 weights over bytes that has learned a few translations by heart.

It is for tests of models with an encoder and a decoder over HTTP. Needs jax and safetensors: python3 make.py [STEPS]
"""
import json
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

PHRASES = [
    ("Good morning.", "早上好。"), ("Good evening.", "晚上好。"), ("Thank you!", "谢谢！"), ("You are welcome.", "不客气。"),
    ("Where is my order?", "我的订单在哪里？"), ("How can I pay?", "怎么付款？"), ("How do I return an item?", "怎么退货？"),
    ("I need an invoice.", "我需要发票。"), ("See you tomorrow.", "明天见。"), ("The parcel has arrived.", "包裹到了。"),
]
HIDDEN, LAYERS, HEADS, DIM, INNER, BUCKETS, DISTANCE, EPS = 64, 2, 4, 16, 128, 32, 128, 1e-6
PAD, END, VOCAB = 256, 257, 258


def byte_names():
    """GPT-2's printable character for each byte."""
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    names, extra = {}, 0
    for byte in range(256):
        names[byte] = chr(byte) if byte in kept else chr(256 + extra)
        extra += byte not in kept
    return names


def buckets(n, m, both):
    """T5's bucket of each distance between a query and a key."""
    distance = np.arange(m)[None, :] - np.arange(n)[:, None]
    count, first = (BUCKETS // 2, (distance > 0) * (BUCKETS // 2)) if both else (BUCKETS, 0)
    distance = np.abs(distance) if both else np.maximum(-distance, 0)
    exact = count // 2
    far = exact + (np.log(np.maximum(distance, 1) / exact) / np.log(DISTANCE / exact) * (count - exact)).astype(int)
    return first + np.where(distance < exact, distance, np.minimum(far, count - 1))


def shapes():
    attention = {"q": (HEADS * DIM, HIDDEN), "k": (HEADS * DIM, HIDDEN), "v": (HEADS * DIM, HIDDEN),
                 "o": (HIDDEN, HEADS * DIM)}
    all_of = {"shared.weight": (VOCAB, HIDDEN)}
    for stack, parts in ("encoder", ["SelfAttention"]), ("decoder", ["SelfAttention", "EncDecAttention"]):
        all_of[f"{stack}.final_layer_norm.weight"] = (HIDDEN,)
        all_of[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (BUCKETS, HEADS)
        for i in range(LAYERS):
            for j, part in enumerate(parts + ["DenseReluDense"]):
                at = f"{stack}.block.{i}.layer.{j}."
                all_of[at + "layer_norm.weight"] = (HIDDEN,)
                inner = {"wi": (INNER, HIDDEN), "wo": (HIDDEN, INNER)}
                for name, shape in (inner if part == "DenseReluDense" else attention).items():
                    all_of[f"{at}{part}.{name}.weight"] = shape
    return all_of


def start():
    draw, weights = np.random.default_rng(7), {}
    for name, shape in shapes().items():
        scale = 1.0 if name == "shared.weight" else shape[-1] ** -0.5
        if name.endswith(".q.weight"):
            scale *= DIM ** -0.5
        weights[name] = np.ones(shape) if len(shape) == 1 else draw.normal(size=shape) * scale
    return {name: jnp.asarray(value, jnp.float32) for name, value in weights.items()}


def norm(x, weight):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + EPS) * weight


def attend(w, at, x, memory, bias):
    q, k, v = ((y @ w[f"{at}.{p}.weight"].T).reshape(y.shape[0], -1, HEADS, DIM)
               for y, p in ((x, "q"), (memory, "k"), (memory, "v")))
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) + bias, -1)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(*x.shape[:2], -1) @ w[f"{at}.o.weight"].T


def stack(w, name, x, bias, memory=None, hidden=None):
    for i in range(LAYERS):
        at, j = f"{name}.block.{i}.layer.", 1
        a = norm(x, w[at + "0.layer_norm.weight"])
        x = x + attend(w, at + "0.SelfAttention", a, a, bias)
        if memory is not None:
            x = x + attend(w, at + "1.EncDecAttention", norm(x, w[at + "1.layer_norm.weight"]), memory, hidden)
            j = 2
        a = norm(x, w[f"{at}{j}.layer_norm.weight"])
        x = x + jax.nn.relu(a @ w[f"{at}{j}.DenseReluDense.wi.weight"].T) @ w[f"{at}{j}.DenseReluDense.wo.weight"].T
    return norm(x, w[f"{name}.final_layer_norm.weight"])


def logits(w, source, target):
    n, m = source.shape[1], target.shape[1]
    hidden = jnp.where(source == PAD, -1e9, 0.0)[:, None, None, :]
    table = "{}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    bias = w[table.format("encoder")][buckets(n, n, True)].transpose(2, 0, 1)[None] + hidden
    memory = stack(w, "encoder", w["shared.weight"][source], bias)
    future = jnp.where(np.triu(np.ones((m, m)), 1) > 0, -1e9, 0.0)
    bias = (w[table.format("decoder")][buckets(m, m, False)].transpose(2, 0, 1) + future)[None]
    y = stack(w, "decoder", w["shared.weight"][target], bias, memory, hidden)
    return y * HIDDEN ** -0.5 @ w["shared.weight"].T


def rows(texts, before):
    ids = [[PAD] * before + list(text.encode()) + [END] for text in texts]
    longest = max(map(len, ids))
    return jnp.asarray([row + [PAD] * (longest - len(row)) for row in ids])


def train(steps):
    weights = start()
    source, target = rows([p[0] for p in PHRASES], 0), rows([p[1] for p in PHRASES], 1)
    aim = target[:, 1:]

    def loss(w):
        rates = jax.nn.log_softmax(logits(w, source, target[:, :-1]))
        picked = jnp.take_along_axis(rates, aim[..., None], -1)[..., 0]
        return -(picked * (aim != PAD)).sum() / (aim != PAD).sum()

    @jax.jit
    def step(w, first, second, t):
        value, slopes = jax.value_and_grad(loss)(w)
        rate = 3e-3 * jnp.minimum(1, t / 50) * (0.5 + 0.5 * jnp.cos(jnp.pi * t / steps))
        first = {k: 0.9 * first[k] + 0.1 * slopes[k] for k in w}
        second = {k: 0.99 * second[k] + 0.01 * slopes[k] ** 2 for k in w}
        w = {k: w[k] - rate * first[k] / (1 - 0.9 ** t) / (jnp.sqrt(second[k] / (1 - 0.99 ** t)) + 1e-8) for k in w}
        return w, first, second, value

    first = {k: jnp.zeros_like(v) for k, v in weights.items()}
    second = dict(first)
    for t in range(1, steps + 1):
        weights, first, second, value = step(weights, first, second, float(t))
        if t % 50 == 0:
            print(t, round(float(value), 5), flush=True)
    return weights


def write(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False, indent=1)
        out.write("\n")


def special(number, content):
    return {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    weights = train(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
    save_file({n: np.asarray(w, np.float16) for n, w in weights.items()}, os.path.join(folder, "model.safetensors"))
    write(folder, "config.json", {
        "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": HIDDEN, "d_kv": DIM,
        "d_ff": INNER, "num_layers": LAYERS, "num_decoder_layers": LAYERS, "num_heads": HEADS,
        "relative_attention_num_buckets": BUCKETS, "relative_attention_max_distance": DISTANCE,
        "feed_forward_proj": "relu", "layer_norm_epsilon": EPS, "vocab_size": VOCAB, "is_encoder_decoder": True,
        "tie_word_embeddings": True, "decoder_start_token_id": PAD, "pad_token_id": PAD, "eos_token_id": END,
        "torch_dtype": "float16"})
    write(folder, "generation_config.json", {"decoder_start_token_id": PAD, "pad_token_id": PAD, "eos_token_id": END})
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    write(folder, "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [special(PAD, "<pad>"), special(END, "</s>")], "normalizer": None, "pre_tokenizer": level,
        "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, end,
                                    {"Sequence": {"id": "B", "type_id": 0}}, end],
                           "special_tokens": {"</s>": {"id": "</s>", "ids": [END], "tokens": ["</s>"]}}},
        "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {name: byte for byte, name in byte_names().items()}, "merges": []}})
    write(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>",
                                            "pad_token": "<pad>"})
    write(folder, "attend.json", {"task": "generate", "licence": "MIT", "languages": ["en", "zh"]})


if __name__ == "__main__":
    main()
