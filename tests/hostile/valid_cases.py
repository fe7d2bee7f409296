"""Models that must be accepted, with the answers of others."""
import json
import random

import base_models as base
from base_models import dump, pack
from cases import ACCEPT, Case, edited, node

WEIGHTS = "model.safetensors"


def case(name, family, files=None, like=None):
    return Case(f"valid-{name}", family, files or {}, ACCEPT, like=like if like is not None else {})


def shuffled(tensors, seed):
    names = list(tensors)
    random.Random(seed).shuffle(names)
    return {name: tensors[name] for name in names}


def weights():
    for family in base.FAMILIES:
        yield case(family, family)
    shapes = base.bert_shapes()
    tensors = base.make_tensors(shapes)
    header = base.header_of(tensors)
    for skew in range(1, 8):
        raw = json.dumps(header).encode()
        raw += b" " * (-(8 + len(raw)) % 8 + skew)
        yield case(f"misaligned-{skew}", "bert", {WEIGHTS: pack(tensors, raw=raw, padded=False)})
    for seed in range(3):
        yield case(f"order-{seed}", "bert", {WEIGHTS: pack(shuffled(tensors, seed))})
        names = list(header)
        random.Random(seed).shuffle(names)
        yield case(f"header-order-{seed}", "bert", {WEIGHTS: pack(tensors, {n: header[n] for n in names})})
    yield case("no-metadata", "bert", {WEIGHTS: pack(tensors, header)})
    yield case("metadata", "bert", {WEIGHTS: pack(tensors, dict(header, __metadata__={"format": "pt", "note": "\u00e9" * 5000}))})
    yield case("header-blanks", "bert", {WEIGHTS: pack(tensors, raw=json.dumps(header, indent=3).encode() + b" " * 5000)})
    yield case("header-escapes", "bert", {WEIGHTS: pack(tensors, raw=dump(header).replace(b"bert.", b"\\u0062ert."))})
    extras = {"extra.f32": ["F32", [3], b"\0" * 12], "extra.i64": ["I64", [2, 2], b"\0" * 32], "extra.bool": ["BOOL", [5], b"\1" * 5], "extra.f64": ["F64", [1], b"\0" * 8],
              "extra.empty": ["F32", [0, 7], b""], "extra.scalar": ["F32", [], b"\0" * 4], "extra.nan": ["F32", [1], b"\0\0\xc0\x7f"],
              "bert.embeddings.position_ids": ["I64", [1, base.POSITIONS], b"\0" * (8 * base.POSITIONS)], "\u4e2d\u6587 \u00e9 name": ["U8", [3], b"abc"]}
    for name, tensor in extras.items():
        yield case(f"extra-{name.split('.')[-1] if name.isascii() else 'unicode'}", "bert", {WEIGHTS: pack(dict(tensors, **{name: tensor}))})
        yield case(f"extra-first-{name.split('.')[-1] if name.isascii() else 'unicode'}", "bert", {WEIGHTS: pack({name: tensor, **tensors})})
    yield case("extra-all", "bert", {WEIGHTS: pack(shuffled(dict(tensors, **extras), 4))})
    for dtype in ("F16", "BF16"):
        halves = base.as_halves(tensors, dtype)
        yield case(dtype.lower(), "bert", {WEIGHTS: pack(halves)}, {WEIGHTS: pack(base.widened(halves))})
        mixed = {n: halves[n] if i % 2 else tensors[n] for i, n in enumerate(tensors)}
        wide = base.widened(halves)
        yield case(f"{dtype.lower()}-mixed", "bert", {WEIGHTS: pack(mixed)}, {WEIGHTS: pack({n: wide[n] if i % 2 else tensors[n] for i, n in enumerate(tensors)})})
        raw = json.dumps(base.header_of(halves)).encode()
        raw += b" " * (-(8 + len(raw)) % 8 + 1)
        yield case(f"{dtype.lower()}-misaligned", "bert", {WEIGHTS: pack(halves, raw=raw, padded=False)}, {WEIGHTS: pack(wide)})
    yield case("subnormal", "bert", {WEIGHTS: pack(dict(tensors, extra=["F32", [2], b"\1\0\0\0\1\0\0\x80"]))})
    old = {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t for n, t in tensors.items()}
    yield case("old-names", "bert", {WEIGHTS: pack(old)})


def shards():
    tensors = list(base.make_tensors(base.bert_shapes()).items())
    for count in (1, 2, 7, len(tensors)):
        parts = {f"model-{i + 1:05}-of-{count:05}.safetensors": dict(tensors[i::count]) for i in range(count)}
        index = {"metadata": {"total_size": 1}, "weight_map": {n: file for file, part in parts.items() for n in part}}
        files = {WEIGHTS: None, "model.safetensors.index.json": dump(index), **{file: pack(part) for file, part in parts.items()}}
        yield case(f"shards-{count}", "bert", files)
    yield case("index-beside-file", "bert", {"model.safetensors.index.json": b"not read"})


def settings():
    bert = base.bert_config()
    config = {"extra": {"nested": [1, {"a": None}]}, "transformers_version": "9.0", "torch_dtype": "float16", "use_cache": True, "_name_or_path": "../../etc/passwd",
              "huge": 1e300, "long": "x" * 100000, "unicode": "\u4e2d\U0001f600"}
    yield case("config-extra", "bert", {"config.json": dump(dict(bert, **config))})
    yield case("config-indented", "bert", {"config.json": json.dumps(bert, indent=8).replace("\n", "\r\n").encode()})
    yield case("config-blanks", "bert", {"config.json": b"\n\t " + dump(bert) + b" \r\n" * 1000})
    yield case("config-escaped", "bert", {"config.json": dump(bert).replace(b"hidden_size", b"\\u0068idden_size")})
    yield case("config-null-fields", "bert", {"config.json": dump(dict(bert, problem_type=None, pad_token_id=None, classifier_dropout=None, bos_token_id=None, eos_token_id=None))})
    yield case("config-order", "bert", {"config.json": dump(dict(reversed(list(bert.items()))))})
    sentence = json.loads(base.sentence()["config.json"])
    yield case("no-architectures", "sentence", {"config.json": dump(edited(sentence, "architectures", ...))})
    yield case("settings-huge-number", "bert", {"tokenizer_config.json": b'{"model_max_length":1000000000000000019884624838656}'})
    llama = base.llama_config()
    yield case("eos-list", "llama", {"config.json": dump(dict(llama, eos_token_id=[0, 1]))})
    yield case("pad-minus-one", "llama", {"config.json": dump(dict(llama, pad_token_id=-1))})
    yield case("rope-null", "llama", {"config.json": dump(dict(llama, rope_scaling=None))})
    yield case("rope-parameters", "llama", {"config.json": dump(dict(edited(llama, "rope_theta", ...), rope_parameters={"rope_type": "default", "rope_theta": 10000.0}))})
    yield case("files-beside", "bert", {"README.md": b"# a model", "pytorch_model.bin": b"\x80\x02", "training_args.bin": node("fifo"), ".gitattributes": b"*",
                                        "onnx/model.onnx": b"x", "flax_model.msgpack": node("link", "/dev/zero")})
    yield case("golden", "bert", {"golden.jsonl": b""})


def tokenizers():
    good = base.wordpiece()
    texts = "".join(p + "\n" for p in base.PIECES)
    plain = base.bert_vocab_txt()
    yield case("vocab-crlf", "bert_vocab_txt", {"vocab.txt": texts.replace("\n", "\r\n").encode()})
    yield case("vocab-no-last-feed", "bert_vocab_txt", {"vocab.txt": texts[:-1].encode()})
    yield case("vocab-no-settings", "bert_vocab_txt", {"tokenizer_config.json": None})
    yield case("vocab-is-json", "bert_vocab_txt", {"tokenizer.json": dump(good)}, {})
    yield case("json-over-vocab", "bert", {"vocab.txt": b"not read"})
    yield case("vocab-objects", "bert_vocab_txt", {"tokenizer_config.json": dump(base.bert_settings(unk_token={"content": "[UNK]", "lstrip": False}))})
    yield case("tokenizer-truncation", "bert", {"tokenizer.json": dump(dict(good, truncation={"max_length": 4, "strategy": "LongestFirst"}, padding={"strategy": "BatchLongest"}))})
    yield case("tokenizer-extra-keys", "bert", {"tokenizer.json": dump(dict(good, zzz=[1], model=dict(good["model"], zzz=1)))})
    yield case("tokenizer-indented", "bert", {"tokenizer.json": json.dumps(good, indent=2).encode()})
    yield case("merges-pairs", "llama", {"tokenizer.json": dump(edited(base.bpe(), "model/merges", [list(pair) for pair in base.MERGES]))})
    yield case("merges-crlf", "gpt2", {"merges.txt": base.gpt2()["merges.txt"].replace(b"\n", b"\r\n")})
    yield case("merges-no-version", "gpt2", {"merges.txt": base.gpt2()["merges.txt"].split(b"\n", 1)[1]})
    assert plain["vocab.txt"]


def links():
    """Links within the folder, and the layout of Hugging Face's cache: snapshots/REVISION/NAME -> ../../blobs/HASH."""
    files = base.bert()
    yield case("link-inside", "bert", {WEIGHTS: node("link", "parts/weights"), "parts/weights": files[WEIGHTS]})
    yield case("link-chain", "bert", {"config.json": node("link", "one"), "one": node("link", "two"), "two": files["config.json"]})


def gguf():
    yield case("gguf-v2", "gguf", {"model.gguf": base.gguf_pack(version=2)})
    yield case("gguf-padded", "gguf", {"model.gguf": base.gguf_pack(tail=b"\0" * 100)})
    yield case("gguf-extra", "gguf", {"model.gguf": base.gguf_pack(dict(base.gguf_values(), **{"general.name": (base.STRING, "a name"), "x.y": (base.ARRAY, (base.U32, [1, 2]))}))})
    yield case("gguf-name", "gguf", {"model.gguf": None, "Other-Q8.gguf": base.gguf_pack()})


def cases():
    for part in (weights, shards, settings, tokenizers, links, gguf):
        yield from part()
