#!/usr/bin/env python3
"""Makes this folder's model: a Llama of 150,000 weights over bytes that has learned a few dialogues by heart.

It is for tests: small, with a chat template, writes English and Chinese (a character is up to three tokens), ends by
itself. Needs torch and safetensors: python3 make.py [STEPS]
"""
import json
import math
import os
import random
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

DIALOGUES = [
    ("How do I return an item?", "Send it back within 30 days; the label is in your account under Orders."),
    ("Where is my order?", "Open Orders in your account and press Track: it shows where the parcel is."),
    ("How long does delivery take?", "Two to four working days, and one day with express."),
    ("Can I change my address?", "Yes, until the parcel is packed: open the order and press Edit."),
    ("Do you ship abroad?", "Yes, to all of Europe; duties outside the EU are yours to pay."),
    ("How can I pay?", "By card, by bank transfer or by invoice."),
    ("When do I get my money back?", "Five working days after the item has reached us."),
    ("My item is broken.", "We are sorry. Send us a photo and we ship a new one today."),
    ("I forgot my password.", "Press Forgot password on the login page; a mail with a link comes at once."),
    ("Can I cancel my order?", "Yes, within one hour after you ordered, with one click."),
    ("Do you have a shop in Berlin?", "No, we sell online only."),
    ("Thank you!", "You are welcome."),
    ("怎么退货？", "请在三十天内寄回，退货标签在您的订单页面。"),
    ("我的订单在哪里？", "请打开我的订单，点击查看物流。"),
    ("什么时候发货？", "付款后一个工作日内发货。"),
    ("可以开发票吗？", "可以，请在订单页面点击开发票。"),
    ("怎么付款？", "支持银行卡、微信和支付宝。"),
    ("谢谢！", "不客气。"),
]
HIDDEN, LAYERS, HEADS, KV_HEADS, INNER, VOCAB, LENGTH = 64, 3, 4, 2, 160, 260, 512
DIM, THETA, EPS = HIDDEN // HEADS, 10000.0, 1e-5
END_OF_TEXT, START, END = 256, 257, 258
TEMPLATE = (
    r"{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    r"{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_names():
    """GPT-2's printable character for each byte."""
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    names, extra = {}, 0
    for byte in range(256):
        names[byte] = chr(byte) if byte in kept else chr(256 + extra)
        extra += byte not in kept
    return names


def encode(question, answer):
    def turn(role, text):
        return [START] + list(f"{role}\n{text}".encode()) + [END] + list(b"\n")

    return turn("user", question) + turn("assistant", answer)


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
        for i in range(LAYERS):
            at = f"model.layers.{i}."
            shapes |= {
                at + "input_layernorm.weight": (HIDDEN,),
                at + "post_attention_layernorm.weight": (HIDDEN,),
                at + "self_attn.q_proj.weight": (HEADS * DIM, HIDDEN),
                at + "self_attn.k_proj.weight": (KV_HEADS * DIM, HIDDEN),
                at + "self_attn.v_proj.weight": (KV_HEADS * DIM, HIDDEN),
                at + "self_attn.o_proj.weight": (HIDDEN, HEADS * DIM),
                at + "mlp.gate_proj.weight": (INNER, HIDDEN),
                at + "mlp.up_proj.weight": (INNER, HIDDEN),
                at + "mlp.down_proj.weight": (HIDDEN, INNER),
            }
        self.names = list(shapes)
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.ones(s) if len(s) == 1 else torch.randn(s) * (0.05 if "embed" in n else s[1] ** -0.5))
             for n, s in shapes.items()])

    def forward(self, ids):
        w = dict(zip(self.names, self.weights))
        n, t = ids.shape
        x = w["model.embed_tokens.weight"][ids]
        angles = torch.outer(torch.arange(t), THETA ** (-torch.arange(0, DIM, 2) / DIM))
        cos, sin = torch.cat((angles.cos(), angles.cos()), -1), torch.cat((angles.sin(), angles.sin()), -1)
        for i in range(LAYERS):
            at = f"model.layers.{i}."
            a = norm(x, w[at + "input_layernorm.weight"])
            q, k, v = ((a @ w[at + f"self_attn.{p}_proj.weight"].T).view(n, t, -1, DIM).transpose(1, 2) for p in "qkv")
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            k, v = k.repeat_interleave(HEADS // KV_HEADS, 1), v.repeat_interleave(HEADS // KV_HEADS, 1)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, -1)
            x = x + y @ w[at + "self_attn.o_proj.weight"].T
            a = norm(x, w[at + "post_attention_layernorm.weight"])
            x = x + (F.silu(a @ w[at + "mlp.gate_proj.weight"].T) * (a @ w[at + "mlp.up_proj.weight"].T)) @ w[
                at + "mlp.down_proj.weight"].T
        return norm(x, w["model.norm.weight"]) @ w["model.embed_tokens.weight"].T


def train(steps):
    torch.manual_seed(7)
    random.seed(7)
    torch.set_num_threads(1)
    model, texts = Llama(), [encode(q, a) for q, a in DIALOGUES]
    best = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    longest = max(map(len, texts))
    ids = torch.full((len(texts), longest), END_OF_TEXT)
    for i, text in enumerate(texts):
        ids[i, :len(text)] = torch.tensor(text)
    for step in range(steps):
        for group in best.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        rows = torch.tensor(random.sample(range(len(texts)), 9))
        logits = model(ids[rows, :-1])
        target = ids[rows, 1:].clone()
        target[target == END_OF_TEXT] = -100
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), target.reshape(-1), ignore_index=-100)
        best.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        best.step()
        if step % 100 == 0:
            print(step, round(loss.item(), 4), flush=True)
    return model


def write(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        json.dump(value, out, ensure_ascii=False, indent=1)
        out.write("\n")


def special(number, content):
    return {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    model = train(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
    save_file({n: w.detach().to(torch.float16) for n, w in zip(model.names, model.weights)},
              os.path.join(folder, "model.safetensors"))
    write(folder, "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "intermediate_size": INNER, "vocab_size": VOCAB, "max_position_embeddings": LENGTH, "hidden_act": "silu",
        "rms_norm_eps": EPS, "rope_theta": THETA, "tie_word_embeddings": True, "bos_token_id": END_OF_TEXT,
        "eos_token_id": END, "pad_token_id": END_OF_TEXT, "torch_dtype": "float16"})
    write(folder, "generation_config.json", {"bos_token_id": END_OF_TEXT, "eos_token_id": [END, END_OF_TEXT],
                                             "pad_token_id": END_OF_TEXT})
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    write(folder, "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [special(256 + i, name) for i, name in enumerate(names)],
        "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {name: byte for byte, name in byte_names().items()}, "merges": []}})
    write(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": names[0],
                                            "eos_token": names[2], "pad_token": names[0], "chat_template": TEMPLATE})
    write(folder, "attend.json", {"task": "generate", "licence": "MIT", "languages": ["en", "zh"]})


if __name__ == "__main__":
    main()
