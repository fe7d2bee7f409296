#!/usr/bin/env python3
"""Makes the folders cross-encoder, ner and reader beside this file: the weights of bert-sentiment under other heads.

cross-encoder: BertForSequenceClassification with one logit, spread so that pairs differ.
ner: BertForTokenClassification, three labels.
reader: BertForQuestionAnswering, start and end of a span; the head's rows are two of the encoder's own vectors.
All are as untrained as what they are made of: tests compare what is done with their numbers. Standard library alone.
"""
import json
import pathlib
import shutil
import struct

here = pathlib.Path(__file__).parent
source = here / "bert-sentiment"


def read(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], raw[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])
            for name, t in header.items()}


def write(path, tensors):
    header, at, blobs = {}, 0, []
    for name, (dtype, shape, blob) in sorted(tensors.items()):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def floats(blob):
    return list(struct.unpack("<%df" % (len(blob) // 4), blob))


def pack(values):
    return struct.pack("<%df" % len(values), *values)


def make(name, architecture, drop, heads, labels):
    target = here / name
    target.mkdir(exist_ok=True)
    config = json.loads((source / "config.json").read_text())
    config["architectures"] = [architecture]
    for key in ("id2label", "label2id"):
        config.pop(key)
    if labels:
        config["id2label"] = {str(i): label for i, label in enumerate(labels)}
        config["label2id"] = {label: i for i, label in enumerate(labels)}
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for file in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(source / file, target / file)
    kept = {k: v for k, v in tensors.items() if not k.startswith(drop)}
    write(target / "model.safetensors", {**kept, **heads})


tensors = read(source / "model.safetensors")
hidden = tensors["classifier.weight"][1][1]
rows = floats(tensors["classifier.weight"][2])
one = [400 * (rows[2 * hidden + i] - rows[i]) for i in range(hidden)]
make("cross-encoder", "BertForSequenceClassification", ("classifier.",),
     {"classifier.weight": ("F32", [1, hidden], pack(one)), "classifier.bias": ("F32", [1], pack([0.0]))}, ["LABEL_0"])
words = floats(tensors["bert.embeddings.word_embeddings.weight"][2])
spans = [50 * x for x in words[300 * hidden:302 * hidden]]
ner = [0.0] * hidden + [200 * x for x in words[400 * hidden:402 * hidden]]
make("ner", "BertForTokenClassification", ("classifier.", "bert.pooler."),
     {"classifier.weight": ("F32", [3, hidden], pack(ner)), "classifier.bias": ("F32", [3], pack([0.0, 0.0, 0.0]))},
     ["O", "B-ORG", "I-ORG"])
make("reader", "BertForQuestionAnswering", ("classifier.", "bert.pooler."),
     {"qa_outputs.weight": ("F32", [2, hidden], pack(spans)), "qa_outputs.bias": ("F32", [2], pack([0.0, 0.0]))}, None)
