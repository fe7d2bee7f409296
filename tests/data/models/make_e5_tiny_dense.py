#!/usr/bin/env python3
"""Makes e5-tiny-dense: a Dense module over e5-tiny, which tests load under the name "e5". Standard library only.

Layer: y[i] = tanh((1 + i / 32) * x[(i + 1) % 32] + (i % 3 - 1) / 10) of the normalised vector, normalised again.
golden.jsonl has what that comes to for the vectors that `attend embed` (a path, the argument) gives of e5-tiny.
"""
import hashlib
import json
import math
import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BASE, OUT, N = HERE / "e5-tiny", HERE / "e5-tiny-dense", 32
TEXTS = ["怎么退货？", "How do I return an item?", "多久能送到？"]


def dump(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize", "3_Dense": "Dense", "4_Normalize": "Normalize"}
    dump(OUT / "modules.json", [{"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
                                for i, (path, kind) in enumerate(kinds.items())])
    dump(OUT / "1_Pooling" / "config.json", json.loads((BASE / "1_Pooling" / "config.json").read_text()))
    dump(OUT / "3_Dense" / "config.json", {"in_features": N, "out_features": N, "bias": True,
                                           "activation_function": "torch.nn.modules.activation.Tanh"})
    dump(OUT / "attend.json", {"task": "embed", "base": "e5", "cosine_floor": 0,
                               "base_digest": hashlib.sha256((BASE / "model.safetensors").read_bytes()).hexdigest()})
    weight = [[(1 + i / N) * (j == (i + 1) % N) for j in range(N)] for i in range(N)]
    bias = [(i % 3 - 1) / 10 for i in range(N)]
    header = {"linear.bias": {"dtype": "F32", "shape": [N], "data_offsets": [0, 4 * N]},
              "linear.weight": {"dtype": "F32", "shape": [N, N], "data_offsets": [4 * N, 4 * N * (N + 1)]}}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (OUT / "3_Dense" / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + struct.pack(f"<{N}f", *bias) + struct.pack(f"<{N * N}f", *sum(weight, [])))
    answer = subprocess.run([sys.argv[1], "embed", "--model", str(BASE)], input=json.dumps({"input": TEXTS}).encode(),
                            stdout=subprocess.PIPE, check=True).stdout
    with open(OUT / "golden.jsonl", "w", encoding="utf-8") as golden:
        for words, row in zip(TEXTS, json.loads(answer)["data"]):
            x = row["embedding"]
            y = [math.tanh(sum(w * v for w, v in zip(weight[i], x)) + bias[i]) for i in range(N)]
            length = math.sqrt(sum(v * v for v in y))
            golden.write(json.dumps({"text": words, "embedding": [round(v / length, 6) for v in y]}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
