#!/usr/bin/env python3
"""Makes e5-tiny-topics: heads for Chinese news over e5-tiny, which tests load under the name "e5". Standard library only.

A row of the topic head is the vector that `attend embed` (a path, the argument) gives of one text, and of the sentiment head,
three of them: each of these texts has its label, as vectors have the length 1. Others get any.
"""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BASE, OUT, N = HERE / "e5-tiny", HERE / "e5-tiny-topics", 32
TEXTS = {
    "dividend": "公司拟每10股派发现金红利12元",
    "earnings": "上半年净亏损扩大到三亿元",
    "fed_central_banks": "央行维持利率不变",
    "personnel_change": "总经理因个人原因辞职",
}
TONES = {"negative": "earnings", "neutral": "fed_central_banks", "positive": "dividend"}


def tensor(rows):
    return struct.pack(f"<{sum(map(len, rows))}f", *sum(rows, []))


def main():
    answer = subprocess.run([sys.argv[1], "embed", "--model", str(BASE)], input=json.dumps({"input": list(TEXTS.values())}).encode(),
                            stdout=subprocess.PIPE, check=True).stdout
    vectors = dict(zip(TEXTS, (row["embedding"] for row in json.loads(answer)["data"])))
    heads = {"sentiment": (list(TONES), [vectors[topic] for topic in TONES.values()]), "topic": (list(TEXTS), list(vectors.values()))}
    header, parts, at = {}, [], 0
    for name, (labels, rows) in heads.items():
        for kind, shape, part in (("weight", [len(labels), N], tensor(rows)), ("bias", [len(labels)], bytes(4 * len(labels)))):
            header[f"heads.{name}.{kind}"] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(part)]}
            parts.append(part)
            at += len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    OUT.mkdir(exist_ok=True)
    (OUT / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    (OUT / "attend.json").write_text(json.dumps({
        "task": "classify", "base": "e5", "base_digest": hashlib.sha256((BASE / "model.safetensors").read_bytes()).hexdigest(),
        "pooling": "mean", "normalize": True, "max_length": 64, "languages": ["zh"],
        "heads": [{"name": name, "labels": labels, "problem_type": "single_label_classification", "temperature": 0.01}
                  for name, (labels, _) in heads.items()],
    }, indent=1) + "\n")


if __name__ == "__main__":
    main()
