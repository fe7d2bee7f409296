"""Weights (safetensors, shards, GGUF, adapters) and the small files beside them."""
import json
import random
import struct

import base_models as base
from base_models import dump, floats, pack
from cases import ACCEPT, Case, EITHER, REFUSE, edited, node

KEY = "bert.encoder.layer.0.attention.self.key.weight"
BIAS = "classifier.bias"


def weights(name, data, words, expect=REFUSE, family="bert", file="model.safetensors"):
    return Case(f"weights-{name}", family, {file: data}, expect, file, words)


def changed_header(change, tensors=None):
    tensors = tensors or base.make_tensors(base.bert_shapes())
    header = base.header_of(tensors, {"format": "pt"})
    change(header)
    return pack(tensors, header)


def safetensors_header():
    good = base.bert()["model.safetensors"]
    n = struct.unpack("<Q", good[:8])[0]
    text = good[8:8 + n].rstrip()
    for kind, length in {"zero": 0, "one": 1, "file": len(good), "rest-and-one": len(good) - 7, "2p32": 1 << 32, "2p63": 1 << 63,
                         "2p64": (1 << 64) - 1, "2p64-8": (1 << 64) - 8, "short": n - 40, "100mb": 100 << 20}.items():
        yield weights(f"header-length-{kind}", struct.pack("<Q", length) + good[8:], ())
    for size in (0, 1, 7, 8, 9, 8 + n // 2, 8 + n - 1, 8 + n, 8 + n + 1, len(good) - 4, len(good) - 1):
        yield weights(f"cut-{size}", good[:size], ())
    for kind, raw in {"list": b"[]", "null": b"null", "text": b'"a"', "empty-object": b"{}", "blanks": b" " * 64,
                      "leading-blank": b" " + text, "nul-padding": text + b"\0" * 8, "not-utf8": text.replace(b"query", b"que\xff\xfe", 1),
                      "cut": text[:-1], "nan": text.replace(b"[8,8]", b"[NaN,8]", 1),
                      "deep": b'{"a":' * 3000 + b"1" + b"}" * 3000}.items():
        yield weights(f"header-{kind}", pack(base.make_tensors(base.bert_shapes()), raw=raw), ())
    for kind, member in {"same": json.loads(text)[KEY], "other": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}.items():
        raw = text[:-1] + b"," + dump(KEY) + b":" + dump(member) + b"}"
        yield weights(f"duplicate-{kind}", pack(base.make_tensors(base.bert_shapes()), raw=raw), KEY)
    yield weights("trailing-byte", good + b"x", ["trailing"])
    yield weights("trailing-mb", good + b"\0" * (1 << 20), ["trailing"])
    for kind, value in {"text": "x", "number": 1, "list": [], "numbers": {"format": 1}, "nested": {"a": {}}}.items():
        yield weights(f"metadata-{kind}", changed_header(lambda h, value=value: h.update(__metadata__=value)), "__metadata__")


def safetensors_entries():
    entries = {"null": None, "text": "F32", "number": 1, "list": [], "empty": {}}
    for kind, value in entries.items():
        yield weights(f"entry-{kind}", changed_header(lambda h, value=value: h.update({KEY: value})), KEY)
    fields = {
        "dtype": {"missing": ..., "null": None, "number": 32, "lower": "f32", "unknown": "F31", "q4": "Q4_K", "empty": "",
                  "i32": "I32", "u8": "U8", "f64": "F64", "long": "F" * 5000},
        "shape": {"missing": ..., "null": None, "text": "[8,8]", "number": 64, "empty": [], "short": [8], "flat": [64], "long": [8, 8, 8],
                  "negative": [-8, -8], "zero": [0, 8], "half": [8.5, 8], "texts": ["8", "8"], "2p31": [1 << 31, 1 << 31],
                  "wraps": [1 << 32, 1 << 32, 16], "wraps-bytes": [1 << 62], "1e308": [1e308], "nested": [[8, 8]],
                  "rank-9": [1] * 7 + [8, 8], "rank-10000": [1] * 10000, "turned": [4, 16], "2p60": [1 << 60]},
        "data_offsets": {"missing": ..., "null": None, "text": "0,256", "one": [0], "three": [0, 128, 256], "turned": [256, 0],
                         "negative": [-256, 0], "half": [0.5, 256.5], "past": [1 << 40, (1 << 40) + 256], "2p63": [0, 1 << 63],
                         "2p64": [0, 1 << 64], "texts": ["0", "256"], "wraps": [(1 << 53) - 1, (1 << 53) + 255], "empty": [], "same": [0, 0],
                         "short": [0, 252], "long": [0, 260]}}
    for field, kinds in fields.items():
        for kind, value in kinds.items():
            def change(header, field=field, value=value):
                if value is ...:
                    del header[KEY][field]
                else:
                    header[KEY][field] = value
            yield weights(f"{field}-{kind}", changed_header(change), () if kind in ("2p64",) else [KEY, "hole", "overlap"])
    def overlap(header):
        header[BIAS]["data_offsets"] = [v - 4 for v in header[BIAS]["data_offsets"]]
    yield weights("overlap", changed_header(overlap), [BIAS, "overlap", "hole"])
    yield weights("extra-overlapping", changed_header(lambda h: h.update(extra={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]})),
                  ["extra", "overlap", "hole"])
    yield weights("extra-huge", changed_header(lambda h: h.update(extra={"dtype": "F32", "shape": [1 << 40, 1 << 30], "data_offsets": [0, 0]})), "extra")
    tensors = base.make_tensors(base.bert_shapes())
    middle = base.header_of(tensors)
    at = middle[BIAS]["data_offsets"][0]
    middle[BIAS]["data_offsets"] = [at + 16, at + 28]
    yield weights("hole", pack(tensors, middle, tail=b"\0" * 16), ["hole", BIAS])


def safetensors_values():
    shapes = base.bert_shapes()
    for tensor in (KEY, BIAS, "bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.weight"):
        short = tensor.split(".")[-2] + "-" + tensor.split(".")[-1]
        for kind, bits in {"nan": 0x7FC00000, "signalling": 0x7F800001, "infinity": 0x7F800000, "minus-infinity": 0xFF800000}.items():
            tensors = base.make_tensors(shapes)
            data = tensors[tensor][2]
            tensors[tensor][2] = data[:-4] + struct.pack("<I", bits)
            yield weights(f"{short}-{kind}", pack(tensors), tensor)
        tensors = base.make_tensors(shapes)
        del tensors[tensor]
        yield weights(f"{short}-missing", pack(tensors), tensor)
        tensors = base.make_tensors(dict(shapes, **{tensor: shapes[tensor] + [2]}))
        yield weights(f"{short}-rank", pack(tensors), tensor)
        tensors = base.make_tensors(dict(shapes, **{tensor: [shapes[tensor][0] + 1] + shapes[tensor][1:]}))
        yield weights(f"{short}-row", pack(tensors), tensor)
        for dtype, width in (("I64", 8), ("BOOL", 1), ("F64", 8)):
            tensors = base.make_tensors(shapes)
            count = len(tensors[tensor][2]) // 4
            tensors[tensor] = [dtype, shapes[tensor], b"\0" * (count * width)]
            yield weights(f"{short}-{dtype}", pack(tensors), tensor)
    for dtype, bad in (("F16", b"\x00\x7c"), ("F16", b"\x01\x7e"), ("BF16", b"\x80\x7f"), ("BF16", b"\xc0\xff")):
        tensors = base.as_halves(base.make_tensors(shapes), dtype)
        tensors[KEY][2] = bad + tensors[KEY][2][2:]
        yield weights(f"{dtype}-{bad.hex()}", pack(tensors), KEY)
    for family in ("llama", "gpt2", "t5", "sasrec", "two_heads"):
        files = base.FAMILIES[family]()
        data = files["model.safetensors"]
        n = struct.unpack("<Q", data[:8])[0]
        for at, kind in ((8 + n, "first"), (len(data) - 4, "last")):
            broken = data[:at] + struct.pack("<I", 0x7FC00000) + data[at + 4:]
            yield Case(f"weights-{family}-nan-{kind}", family, {"model.safetensors": broken}, REFUSE, "model.safetensors")
        yield Case(f"weights-{family}-none", family, {"model.safetensors": None}, REFUSE, "model.safetensors")
        yield Case(f"weights-{family}-no-tensor", family, {"model.safetensors": pack({})}, REFUSE, "model.safetensors")


def shards():
    tensors = list(base.make_tensors(base.bert_shapes()).items())
    half = len(tensors) // 2
    parts = {"model-1.safetensors": dict(tensors[:half]), "model-2.safetensors": dict(tensors[half:])}
    index = {"metadata": {"total_size": 0}, "weight_map": {n: file for file, part in parts.items() for n in part}}
    packed = {file: pack(part) for file, part in parts.items()}
    name = "model.safetensors.index.json"

    def case(kind, text, words=(), expect=REFUSE, file=name, **more):
        files = {"model.safetensors": None, name: text, **packed}
        files.update({key.replace("_", "-") + ".safetensors": value for key, value in more.items()})
        return Case(f"shards-{kind}", "bert", files, expect, file, words)

    for kind, where in {"up": "../model-1.safetensors", "absolute": "/etc/passwd", "folder": "a/model-1.safetensors", "dots": "..",
                        "dot": ".", "empty": "", "hidden": ".model-1.safetensors", "missing": "model-9.safetensors",
                        "config": "config.json", "long": "m" * 5000, "nul": "model-1\0.safetensors", "blank": "model 1.safetensors"}.items():
        yield case(f"file-{kind}", dump(edited(index, "weight_map/" + KEY, where)), (), file="config.json" if kind == "config" else
                   "model-9" if kind == "missing" else name)
    for kind, value in {"missing": ..., "null": None, "list": [], "text": "x", "empty": {}}.items():
        yield case(f"map-{kind}", dump(edited(index, "weight_map", value)), "weight_map")
    for kind, value in {"number": 1, "null": None, "list": ["model-1.safetensors"], "object": {}}.items():
        yield case(f"entry-{kind}", dump(edited(index, "weight_map/" + KEY, value)), "weight_map")
    yield case("index-empty", b"")
    yield case("index-json", b"{")
    yield case("index-fifo", node("fifo"))
    yield case("index-other-shard", dump(edited(index, "weight_map/" + KEY, "model-2.safetensors")), [KEY, "weight_map"])
    yield case("index-extra", dump(edited(index, "weight_map/no.such.tensor", "model-1.safetensors")), ["no.such.tensor"])
    yield case("index-lacks", dump(edited(index, "weight_map/" + KEY, ...)), [KEY], EITHER)
    both = dict(parts["model-2.safetensors"])
    both[KEY] = dict(tensors)[KEY]
    yield case("twice", dump(index), [KEY, "duplicate"], file="", model_2=pack(both))
    yield case("cut", dump(index), (), file="model-2.safetensors", model_2=packed["model-2.safetensors"][:-5])
    yield case("fifo", dump(index), (), file="model-2.safetensors", model_2=node("fifo"))
    yield case("gone", dump(index), (), file="model-2.safetensors", model_2=None)
    many = {"weight_map": {f"t{i}": f"m{i}.safetensors" for i in range(5000)}}
    yield case("thousands", dump(many), (), file="")


def attend_json():
    good = json.loads(base.two_heads()["attend.json"])
    bad = {"heads": {"object": {}, "text": "mood", "numbers": [1], "null-head": [None], "twice": [good["heads"][0]] * 2, "empty": [],
                     "many": [dict(good["heads"][0], name=f"h{i}") for i in range(100)]},
           "heads/0/name": {"missing": ..., "number": 1, "empty": "", "long": "n" * 500, "other": "nobody", "null": None},
           "heads/0/labels": {"missing": ..., "empty": [], "text": "calm", "numbers": [1, 2, 3], "fewer": ["a"], "more": ["a", "b", "c", "d"],
                              "null": [None, "b", "c"], "twice": ["a", "a", "b"]},
           "heads/0/problem_type": {"unknown": "guess", "number": 1},
           "heads/0/temperature": {"zero": 0, "negative": -1, "text": "1", "huge": 1e308},
           "heads/0/polarity": {"text": {"calm": "1"}, "list": [1, 2], "outside": {"calm": 5}, "unknown": {"nobody": 1}, "number": 1},
           "heads/1/threshold": {"text": {"post": "a"}, "negative": -1, "above": {"post": 3}, "word": "half"},
           "heads/0/out_of_scope": {"empty": {}, "text": "x", "method": {"method": "odin", "threshold": 0.5, "label": "x"},
                                    "threshold": {"method": "max_probability", "threshold": 7, "label": "x"},
                                    "label": {"method": "max_probability", "threshold": 0.5}},
           "pooling": {"unknown": "max", "number": 1, "list": [], "null": None}, "normalize": {"text": "no", "number": 0},
           "max_length": {"text": "20", "negative": -1, "zero": 0, "huge": 1 << 40, "half": 9.5, "more": 25},
           "strip_urls": {"text": "no"}, "task": {"number": 1, "unknown": "juggle", "list": []}, "languages": {"number": 1, "text": "en", "numbers": [1]},
           "licence": {"number": 1, "list": []}}
    lax = {"heads/0/labels-twice", "pooling-null", "heads-empty"}
    for path, kinds in bad.items():
        for kind, value in kinds.items():
            word = path.split("/")[-1]
            words = [word, "labels", "heads"] if path.startswith("heads") else [word]
            name = f"attend-{path.replace('/', '-')}-{kind}"
            tensors = kind in ("other", "fewer", "more") and path.startswith("heads")
            yield Case(name, "two_heads", {"attend.json": dump(edited(good, path, value))},
                       EITHER if f"{path}-{kind}" in lax else REFUSE, "" if tensors else "attend.json", words)


def golden_jsonl():
    n = len(base.LABELS)
    lines = {"bert": {"wrong": {"text": "where is", "head_logits": {"default": [9.0] * n}}, "count": {"text": "a", "head_logits": {"default": [0.0]}},
                      "texts": {"text": "a", "head_logits": {"default": ["x"] * n}}, "no-list": {"text": "a", "head_logits": {"default": 1}},
                      "no-object": {"text": "a", "head_logits": [0.1] * n}, "unknown-head": {"text": "a", "head_logits": {"nobody": [0.1] * n}},
                      "text-number": {"text": 1, "head_logits": {"default": [0.1] * n}}, "embedding-count": {"text": "a", "embedding": [0.1]},
                      "embedding-text": {"text": "a", "embedding": "x"}, "history": {"history": [1, 2], "topk_ids": [1], "topk_scores": [1]},
                      "nothing": {"text": "a"}, "empty": {}},
             "sasrec": {"wrong": {"history": [1, 2], "topk_ids": [1], "topk_scores": [99.0]}, "range": {"history": [1, 5000], "topk_ids": [1], "topk_scores": [1]},
                        "zero": {"history": [0], "topk_ids": [1], "topk_scores": [1]}, "texts": {"history": ["a"], "topk_ids": [1], "topk_scores": [1]},
                        "empty": {"history": [], "topk_ids": [1], "topk_scores": [1]}, "counts": {"history": [1], "topk_ids": [1, 2], "topk_scores": [1]},
                        "none": {"history": [1]}, "history-number": {"history": 3, "topk_ids": [1], "topk_scores": [1]},
                        "text": {"text": "a", "embedding": [0.1] * base.HIDDEN}, "many": {"history": [1], "topk_ids": list(range(1, 100)), "topk_scores": [0.0] * 99}},
             "llama": {"embedding": {"text": "a", "embedding": [0.5] * base.HIDDEN}, "logits": {"text": "a", "head_logits": {"default": [0.5]}}},
             "t5": {"embedding": {"text": "a", "embedding": [0.5] * base.HIDDEN}},
             "gguf": {"embedding": {"text": "a", "embedding": [0.5] * base.HIDDEN}}}
    for family, kinds in lines.items():
        for kind, line in kinds.items():
            yield Case(f"golden-{family}-{kind}", family, {"golden.jsonl": dump(line) + b"\n"}, REFUSE, "golden.jsonl", "line 1")
    for kind, text in {"json": b"{", "list": b"[]", "number": b"1", "text": b"hello", "bom": b"\xef\xbb\xbf{}", "nul": b"\0\n", "deep": b"[" * 9999,
                       "latin1": b'{"text":"caf\xe9"}', "many": b"{}\n" * 3000, "blank-line": b"  \n"}.items():
        yield Case(f"golden-bert-{kind}", "bert", {"golden.jsonl": text}, REFUSE, "golden.jsonl")
    for kind, make in {"fifo": node("fifo"), "directory": node("directory"), "big": node("sparse", 1 << 34)}.items():
        yield Case(f"golden-bert-{kind}", "bert", {"golden.jsonl": make}, REFUSE, "golden.jsonl")


def sentence_files():
    modules = json.loads(base.sentence()["modules.json"])
    for kind, value in {"object": {"a": 1}, "numbers": [1], "unknown": edited(modules, "1/type", "x.LSTM"), "type-number": edited(modules, "1/type", 5),
                        "type-missing": edited(modules, "1/type", ...), "path-up": edited(modules, "1/path", "../1_Pooling"),
                        "path-number": edited(modules, "1/path", 1), "path-absolute": edited(modules, "1/path", "/etc")}.items():
        yield Case(f"modules-{kind}", "sentence", {"modules.json": dump(value)}, REFUSE, "modules.json")
    good = json.loads(base.sentence()["1_Pooling/config.json"])
    for kind, value in {"none": dict(good, pooling_mode_mean_tokens=False), "two": dict(good, pooling_mode_cls_token=True),
                        "max": dict(good, pooling_mode_max_tokens=True), "text": dict(good, pooling_mode_mean_tokens="yes"),
                        "number": dict(good, pooling_mode_cls_token=1), "dimension": dict(good, word_embedding_dimension=384),
                        "dimension-text": dict(good, word_embedding_dimension="8"), "list": []}.items():
        yield Case(f"pooling-{kind}", "sentence", {"1_Pooling/config.json": dump(value)}, REFUSE, "1_Pooling/config.json",
                   "word_embedding_dimension" if "dimension" in kind else ())
    yield Case("pooling-gone", "sentence", {"1_Pooling/config.json": None}, REFUSE, "1_Pooling/config.json")
    yield from dense_files(modules)
    for kind, value in {"text": "20", "negative": -1, "zero": 0, "half": 8.5, "huge": 1e308, "list": []}.items():
        yield Case(f"max-seq-length-{kind}", "sentence", {"sentence_bert_config.json": dump({"max_seq_length": value})}, REFUSE,
                   "sentence_bert_config.json", "max_seq_length")


def dense_files(modules):
    """A linear layer behind the pooling: its configuration and its weights."""
    size = base.HIDDEN
    good = {"in_features": size, "out_features": size, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}
    listed = dump(modules + [{"idx": 3, "name": "3", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}])
    config, weights = "2_Dense/config.json", "2_Dense/model.safetensors"
    shapes = {"linear.weight": [size, size], "linear.bias": [size]}

    def case(kind, expect=REFUSE, file="", words=(), settings=good, tensors=None):
        tensors = pack(base.make_tensors(shapes)) if tensors is None else tensors
        return Case(f"dense-{kind}", "sentence", {"modules.json": listed, config: dump(settings), weights: tensors}, expect, file, words)

    same = base.make_tensors(shapes)
    same["linear.weight"][2] = floats([float(i % (size + 1) == 0) for i in range(size * size)])
    same["linear.bias"][2] = floats([0.0] * size)
    yield case("identity", ACCEPT, settings=dict(good, activation_function="torch.nn.modules.linear.Identity"), tensors=pack(same))
    for field, kinds in {"in_features": {"other": size + 1, "huge": 1 << 62, "text": "8", "missing": ..., "negative": -size},
                         "out_features": {"other": size + 1, "huge": 1 << 62, "zero": 0, "list": []},
                         "bias": {"text": "yes", "number": 1}, "activation_function": {"unknown": "torch.nn.Softplus", "number": 1}}.items():
        for kind, value in kinds.items():
            yield case(f"{field}-{kind}", file=weights if kind == "other" and field[0] == "o" else config, words=field if field[0] != "o" or kind != "other" else (),
                       settings=edited(good, field, value))
    for kind, changed in {"shape": {"linear.weight": [size, size + 1], "linear.bias": [size]}, "rank": {"linear.weight": [size * size], "linear.bias": [size]},
                          "no-bias": {"linear.weight": [size, size]}, "no-weight": {"linear.bias": [size]}, "stray": dict(shapes, stray=[2])}.items():
        yield case(f"weights-{kind}", file=weights, tensors=pack(base.make_tensors(changed)))
    broken = base.make_tensors(shapes)
    broken["linear.bias"][2] = floats([float("inf")] * size)
    yield case("weights-infinite", file=weights, words="linear.bias", tensors=pack(broken))
    for kind, raw in {"empty": b"", "short": b"\0" * 7, "long-header": b"\xff" * 8 + b"{}"}.items():
        yield case(f"weights-{kind}", file=weights, tensors=raw)
    yield Case("dense-gone", "sentence", {"modules.json": listed}, REFUSE, config)


def adapters():
    for field, kinds in {"r": {"zero": 0, "negative": -1, "text": "2", "half": 1.5, "other": 3, "huge": 1 << 40, "missing": ..., "null": None},
                         "lora_alpha": {"text": "4", "negative": -4, "huge": 1e308}, "peft_type": {"other": "IA3", "number": 1, "missing": ...},
                         "base_model_name_or_path": {"unknown": "nobody", "number": 1, "missing": ..., "empty": "", "up": "../base", "long": "b" * 4000},
                         "bias": {"all": "all", "number": 1}, "use_dora": {"true": True, "text": "yes"}, "fan_in_fan_out": {"text": "yes", "true": True},
                         "use_rslora": {"text": "yes"}, "rank_pattern": {"some": {"query": 4}}, "init_lora_weights": {"pissa": "pissa"}}.items():
        for kind, value in kinds.items():
            good = base.adapter_config(**({} if field in base.adapter_config() else {field: None}))
            file, words = "adapter_config.json", [field]
            if (field, kind) in (("r", "other"),):
                file, words = "", ["lora_A"]
            expect = EITHER if (field, kind) in (("fan_in_fan_out", "true"),) else REFUSE
            yield Case(f"adapter-{field}-{kind}", "adapter", {"adapter_config.json": dump(edited(good, field, value))}, expect, file, words)
    shapes = base.adapter_shapes()
    first = next(iter(shapes))
    second = first.replace("lora_A", "lora_B")
    name = "adapter_model.safetensors"

    def case(kind, tensors, words):
        return Case(f"adapter-weights-{kind}", "adapter", {name: pack(tensors)}, REFUSE, name, words)

    for kind, tensor in (("no-a", first), ("no-b", second)):
        yield case(kind, base.make_tensors({k: v for k, v in shapes.items() if k != tensor}), ["lora_A", "lora_B"])
    yield case("shape", base.make_tensors(dict(shapes, **{first: [2, 9]})), first)
    yield case("rank", base.make_tensors(dict(shapes, **{first: [2, 8, 1, 1, 2]})), first)
    yield case("unknown", base.make_tensors(dict(shapes, **{"base_model.model.bert.nothing.lora_A.weight": [2, 8]})), "nothing")
    yield case("stray", base.make_tensors(dict(shapes, stray=[2])), "stray")
    tensors = base.make_tensors(shapes)
    tensors[first][2] = floats([float("nan")] * 16)
    yield case("nan", tensors, first)
    tensors[first][2] = floats([3e38] * 16)
    tensors[second][2] = floats([3e38] * 16)
    yield case("overflow", tensors, ["query", "lora"])
    yield Case("adapter-weights-cut", "adapter", {name: pack(base.make_tensors(shapes))[:-9]}, REFUSE, name)
    yield Case("adapter-weights-gone", "adapter", {name: None}, REFUSE, name)


def items():
    lines = [json.loads(line) for line in base.sasrec()["items.jsonl"].splitlines()]
    for field, kinds in {"index": {"zero": 0, "negative": -1, "past": base.ITEMS + 1, "twice": 2, "text": "1", "half": 1.5, "missing": ..., "2p63": 1 << 62},
                         "id": {"number": 1, "empty": "", "twice": "sku-2", "missing": ..., "long": "i" * 100000, "null": None},
                         "title": {"number": 1, "list": []}, "popularity": {"text": "1", "negative": -1, "huge": 1e300}}.items():
        for kind, value in kinds.items():
            changed = [edited(lines[0], field, value)] + lines[1:]
            yield Case(f"items-{field}-{kind}", "sasrec", {"items.jsonl": b"".join(dump(line) + b"\n" for line in changed)}, REFUSE,
                       "items.jsonl", field)
    for kind, text in {"json": b"{\n", "list": b"[]\n", "number": b"1\n", "latin1": b'{"index":1,"id":"caf\xe9"}\n', "nul": b"\0\n", "empty": b"",
                       "deep": b'{"index":' + b"[" * 5000, "blank": b"\n\n \n"}.items():
        yield Case(f"items-{kind}", "sasrec", {"items.jsonl": text}, REFUSE, "items.jsonl")
    yield Case("items-sparse", "sasrec", {"items.jsonl": node("sparse", 1 << 36)}, REFUSE, "items.jsonl")


def gguf_heads():
    good = base.gguf()["model.gguf"]
    for size in (0, 3, 4, 8, 16, 23, 24, 31, 40, 100, 1000, len(good) // 2, len(good) - 300, len(good) - 1):
        yield gguf(f"cut-{size}", good[:size])
    yield gguf("magic", base.gguf_pack(magic=b"GGUX"))
    for version in (0, 1, 4, 1 << 24, 0xFFFFFFFF):
        yield gguf(f"version-{version}", base.gguf_pack(version=version), "version")
    for kind, n in {"zero": 0, "more": 40, "2p32": 1 << 32, "2p63": 1 << 63, "2p64": (1 << 64) - 1}.items():
        yield gguf(f"values-{kind}", base.gguf_pack(n_values=n))
        yield gguf(f"tensors-{kind}", base.gguf_pack(n_tensors=n))
    name = struct.pack("<Q", 20)
    for kind, n in {"2p63": 1 << 63, "2p64": (1 << 64) - 1, "file": len(good), "1gb": 1 << 30}.items():
        yield gguf(f"key-length-{kind}", good.replace(name, struct.pack("<Q", n), 1))


def gguf(kind, data, words=(), expect=REFUSE):
    return Case(f"gguf-{kind}", "gguf", {"model.gguf": data}, expect, "model.gguf", words)


def gguf_values():
    good = base.gguf_values()
    sizes = {"zero": (base.U32, 0), "huge": (base.U32, 0xFFFFFFFF), "2p63": (base.U64, 1 << 63), "text": (base.STRING, "8"), "float": (base.F32, 8.5),
             "nan": (base.F32, float("nan")), "infinity": (base.F32, float("inf")), "bool": (base.BOOL, 1), "negative": (base.I32, -8),
             "list": (base.ARRAY, (base.U32, [8])), "missing": None}
    for key in ("embedding_length", "block_count", "attention.head_count", "feed_forward_length", "context_length", "attention.head_count_kv",
                "rope.dimension_count"):
        for kind, value in sizes.items():
            values = dict(good)
            values["llama." + key] = value
            if value is None:
                del values["llama." + key]
            lax = kind == "missing" and key in ("attention.head_count_kv", "rope.dimension_count")
            yield gguf(f"{key}-{kind}", base.gguf_pack(values), [key, "head", "kv", "key_length", "attn", "config"], EITHER if lax else REFUSE)
    strings = {"general.architecture": {"number": (base.U32, 1), "unknown": (base.STRING, "mystery"), "nul": (base.STRING, "lla\0ma"), "missing": None},
               "tokenizer.ggml.model": {"number": (base.U32, 1), "unknown": (base.STRING, "plamo2")},
               "tokenizer.ggml.pre": {"number": (base.U32, 1), "unknown": (base.STRING, "mystery"), "missing": None},
               "tokenizer.ggml.tokens": {"number": (base.U32, 1), "numbers": (base.ARRAY, (base.U32, [1, 2])), "fewer": (base.ARRAY, (base.STRING, ["a"])),
                                         "more": (base.ARRAY, (base.STRING, base.BYTE_TOKENS + ["more"])), "empty": (base.ARRAY, (base.STRING, [])),
                                         "twice": (base.ARRAY, (base.STRING, base.BYTE_TOKENS[:-1] + base.BYTE_TOKENS[1:2])),
                                         "not-utf8": (base.ARRAY, (base.STRING, base.BYTE_TOKENS[:-1] + [b"\xff\xfe"])),
                                         "nul": (base.ARRAY, (base.STRING, base.BYTE_TOKENS[:-1] + ["a\0b"]))},
               "tokenizer.ggml.token_type": {"fewer": (base.ARRAY, (base.I32, [1, 1])), "texts": (base.ARRAY, (base.STRING, ["1"] * len(base.BYTE_TOKENS))),
                                             "unknown": (base.ARRAY, (base.I32, [99] * len(base.BYTE_TOKENS))), "number": (base.I32, 1)},
               "tokenizer.ggml.merges": {"number": (base.U32, 1), "one": (base.ARRAY, (base.STRING, ["the"])), "unknown": (base.ARRAY, (base.STRING, ["q z"])),
                                         "three": (base.ARRAY, (base.STRING, ["t h e"])), "missing": None},
               "tokenizer.ggml.eos_token_id": {"range": (base.U32, 100000), "text": (base.STRING, "0"), "negative": (base.I32, -1)},
               "llama.rope.freq_base": {"zero": (base.F32, 0.0), "nan": (base.F32, float("nan")), "negative": (base.F32, -1.0), "text": (base.STRING, "1")},
               "llama.attention.layer_norm_rms_epsilon": {"nan": (base.F32, float("nan")), "negative": (base.F32, -1.0), "text": (base.STRING, "1")},
               "llama.rope.scaling.type": {"unknown": (base.STRING, "spiral"), "number": (base.U32, 1)},
               "general.alignment": {"zero": (base.U32, 0), "three": (base.U32, 3), "huge": (base.U32, 1 << 31), "text": (base.STRING, "32")},
               "llama.expert_count": {"some": (base.U32, 8)}, "split.count": {"two": (base.U32, 2)}}
    lax = {"tokenizer.ggml.tokens-fewer"}
    shown = {"llama.rope.freq_base": "rope_theta", "llama.attention.layer_norm_rms_epsilon": "rms_norm_eps", "tokenizer.ggml.tokens": "token"}
    for key, kinds in strings.items():
        for kind, value in kinds.items():
            values = dict(good)
            values[key] = value
            if value is None:
                del values[key]
            yield gguf(f"{key}-{kind}", base.gguf_pack(values), shown.get(key, key.split(".")[-1].split("_")[0]), EITHER if f"{key}-{kind}" in lax else REFUSE)
    twice = base.gguf_text("llama.block_count") + struct.pack("<II", base.U32, 2)
    whole = base.gguf_pack(n_values=len(good) + 1)
    at = 24
    yield gguf("key-twice", whole[:at] + twice + whole[at:], "llama.block_count")
    for kind in (13, 255, 1 << 31):
        yield gguf(f"value-type-{kind}", good_with_type(kind))


def good_with_type(kind):
    key = base.gguf_text("general.architecture")
    good = base.gguf_pack()
    at = good.index(key) + len(key)
    return good[:at] + struct.pack("<I", kind) + good[at + 4:]


def gguf_tensors():
    good = base.gguf_tensors()
    name = "blk.0.attn_q.weight"
    for kind, value in {"rank-0": dict(ranks={name: 0}), "rank-5": dict(ranks={name: 5}), "rank-2p31": dict(ranks={name: 1 << 31}),
                        "offset-odd": dict(offsets={name: 1}), "offset-overlap": dict(offsets={name: 0}), "offset-past": dict(offsets={name: 1 << 40}),
                        "offset-2p63": dict(offsets={name: 1 << 63}), "offset-2p64": dict(offsets={name: (1 << 64) - 32})}.items():
        yield gguf(f"tensor-{kind}", base.gguf_pack(**value), name if "offset-overlap" not in kind else "tensor")
    for kind, shape in {"zero": [0, 8], "huge": [1 << 40, 1 << 40], "2p63": [1 << 63, 2], "2p60": [1 << 60], "other": [9, 8], "flat": [64]}.items():
        tensors = dict(good)
        tensors[name] = [0, shape, good[name][2]]
        yield gguf(f"shape-{kind}", base.gguf_pack(tensors=tensors), ["tensor", "weight"])
    for kind in (4, 5, 99, 0xFFFFFFFF, 24, 8, 12):
        tensors = dict(good)
        tensors[name] = [kind, good[name][1], good[name][2]]
        yield gguf(f"type-{kind}", base.gguf_pack(tensors=tensors), name)
    for tensor in ("token_embd.weight", name, "output_norm.weight"):
        tensors = {k: v for k, v in good.items() if k != tensor}
        yield gguf(f"missing-{tensor}", base.gguf_pack(tensors=tensors), ["missing"])
        tensors = dict(good)
        tensors[tensor] = [0, good[tensor][1], good[tensor][2][:-4] + struct.pack("<I", 0x7F800000)]
        yield gguf(f"infinite-{tensor}", base.gguf_pack(tensors=tensors), ["finite"])
    for kind, text in {"empty": "", "nul": "blk\0", "long": "t" * 600, "latin1": b"caf\xe9"}.items():
        tensors = dict(good)
        tensors[text] = tensors.pop(name)
        yield gguf(f"name-{kind}", base.gguf_pack(tensors=tensors))
    rng = random.Random(9)
    data = base.gguf()["model.gguf"]
    for i in range(40):
        at = rng.randrange(24, 1500)
        yield gguf(f"flip-{i}", data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:], (), EITHER)
    yield Case("gguf-two-files", "gguf", {"other.gguf": data}, REFUSE, "", ("gguf", "config.json"))


def cases():
    for part in (safetensors_header, safetensors_entries, safetensors_values, shards, attend_json, golden_jsonl, sentence_files, adapters,
                 items, gguf_heads, gguf_values, gguf_tensors):
        yield from part()
