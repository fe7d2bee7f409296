"""Kinds of files, JSON as such, and every field of config.json."""
import json
import os
import struct

import base_models as base
from base_models import dump
from cases import Case, EITHER, REFUSE, edited, node, outside, repeated, with_text


def file_kinds():
    for family, names in (("bert", ("config.json", "model.safetensors", "tokenizer.json")),
                          ("bert_vocab_txt", ("vocab.txt", "tokenizer_config.json")), ("gguf", ("model.gguf",)),
                          ("sasrec", ("items.jsonl",)), ("two_heads", ("attend.json",)),
                          ("gpt2", ("merges.txt", "vocab.json")), ("sentence", ("modules.json", "1_Pooling/config.json")),
                          ("adapter", ("adapter_config.json", "adapter_model.safetensors"))):
        for name in names:
            kinds = {"fifo": node("fifo"), "directory": node("directory"), "socket": node("socket"),
                     "link-loop": node("link", os.path.basename(name)), "link-dangling": node("link", "nothing-there"),
                     "link-device": node("link", "/dev/zero"), "link-absolute": node("link", "/etc/passwd"),
                     "link-proc": node("link", "/proc/self/fd/0")}
            if "/" not in name:
                kinds["link-out"] = outside(name, base.FAMILIES[family]())
            for kind, make in kinds.items():
                yield Case(f"kind-{name.replace('/', '-')}-{kind}", family, {name: make}, file=name)
            yield Case(f"kind-{name.replace('/', '-')}-empty", family, {name: b""}, file=name)


# ---- JSON as such ----

def broken_json(text):
    """Texts that are no JSON, or none that is taken, from one that is."""
    deep = 100000
    yield "cut", text[:len(text) // 2]
    yield "cut-last", text.rstrip()[:-1]
    yield "bom", b"\xef\xbb\xbf" + text
    yield "utf16", text.decode().encode("utf-16")
    yield "trailing", text + b"{}"
    yield "trailing-nul", text + b"\0"
    yield "nul-inside", text[:1] + b"\0" + text[1:]
    yield "not-utf8", text.replace(b'"', b'"\xff\xfe', 1)
    yield "lone-surrogate", text.rstrip()[:-1] + b',"x":"\\ud800"}' if text[:1] == b"{" else b'["\\ud800"]'
    yield "control", text.replace(b'"', b'"\x01', 1)
    yield "comment", b"/* a */" + text
    yield "comma", text.rstrip()[:-1] + b",}"
    yield "single-quotes", text.replace(b'"', b"'")
    yield "number", b"17"
    yield "null", b"null"
    yield "string", b'"text"'
    yield "blanks", b" " * 4096
    yield "deep-arrays", b"[" * deep + b"]" * deep
    yield "deep-objects", b'{"a":' * deep + b"1" + b"}" * deep
    yield "deep-member", text.rstrip()[:-1] + b',"deep":' + b"[" * 5000 + b"]" * 5000 + b"}"
    if text[:1] == b"{":
        yield "array", b"[]"
        yield "duplicate", text.rstrip()[:-1] + b',"twice":1,"twice":2}'
        yield "nan", text.rstrip()[:-1] + b',"x":NaN}'
        yield "infinity", text.rstrip()[:-1] + b',"x":-Infinity}'
        yield "overflow", text.rstrip()[:-1] + b',"x":1e999}'
        yield "leading-zero", text.rstrip()[:-1] + b',"x":01}'


JSON_FILES = (("bert", "config.json"), ("bert", "tokenizer.json"), ("bert_vocab_txt", "tokenizer_config.json"),
              ("two_heads", "attend.json"), ("sentence", "modules.json"), ("sentence", "1_Pooling/config.json"),
              ("sentence", "sentence_bert_config.json"), ("adapter", "adapter_config.json"), ("gpt2", "vocab.json"))


def json_texts():
    for family, name in JSON_FILES:
        for kind, text in broken_json(base.FAMILIES[family]()[name]):
            expect = EITHER if name == "modules.json" and kind in ("array",) else REFUSE
            yield Case(f"json-{name.replace('/', '-')}-{kind}", family, {name: text}, expect, name, "twice" if kind == "duplicate" else ())


BOMBS = {"numbers": (b"[", b"1,", 5000000, b"1]"), "objects": (b"[", b"{},", 4000000, b"{}]"), "arrays": (b"[", b"[],", 4000000, b"[]]"),
         "strings": (b"[", b'"",', 4000000, b'""]'), "string": (b'["', b"x", 40000000, b'"]'), "blanks": (b"", b" ", 200000000, b"{}"),
         "keys": (b"{", b'"%07x":0,', 1500000, b'"last":0}')}


def json_bombs():
    """Texts that would take far more memory than bytes."""
    for kind, (begin, unit, count, end) in BOMBS.items():
        length = len(begin) + (len(unit % 0) if b"%" in unit else len(unit)) * count + len(end) + len(b'{"bomb":}')
        for family, name in (("bert", "config.json"), ("bert", "tokenizer.json"), ("adapter", "adapter_config.json"), ("bert", "model.safetensors")):
            head = struct.pack("<Q", length) if name == "model.safetensors" else b""
            yield Case(f"bomb-{name}-{kind}", family, {name: repeated(head + b'{"bomb":' + begin, unit, count, end + b"}")}, file=name)


# ---- config.json ----

BAD_SIZES = {"null": b"null", "missing": ..., "text": b'"8"', "true": b"true", "array": b"[8]", "object": b"{}",
             "negative": b"-8", "zero": b"0", "half": b"8.5", "2p31": b"2147483648", "2p53": b"9007199254740993",
             "2p63": b"9223372036854775808", "1e308": b"1e308", "1e999": b"1e999", "nan": b"NaN"}
SIZE_FIELDS = {
    "bert": ("hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings vocab_size "
             "type_vocab_size").split(),
    "llama": "hidden_size num_hidden_layers num_attention_heads num_key_value_heads intermediate_size vocab_size "
             "max_position_embeddings".split(),
    "gpt2": "n_embd n_layer n_head n_positions vocab_size".split(),
    "t5": "d_model d_kv d_ff num_layers num_heads vocab_size relative_attention_num_buckets".split(),
    "sasrec": "num_items hidden_size num_hidden_layers num_attention_heads max_position_embeddings".split()}
DEFAULTED = {"type_vocab_size", "num_key_value_heads", "max_position_embeddings", "relative_attention_num_buckets",
             "n_positions", "num_items", "num_attention_heads"}


def config_of(family):
    return json.loads(base.FAMILIES[family]()["config.json"])


def config_case(family, name, text, words, expect=REFUSE, file="config.json"):
    return Case(f"config-{family}-{name}", family, {"config.json": text}, expect, file, words)


def config_sizes():
    for family, fields in SIZE_FIELDS.items():
        config = config_of(family)
        for field in fields:
            for kind, text in BAD_SIZES.items():
                absent = kind in ("null", "missing")
                new = dump(edited(config, field, ...)) if text is ... else with_text(config, field, text)
                words = () if kind in ("1e999", "nan") else [field]
                yield config_case(family, f"{field}-{kind}", new, words,
                                  EITHER if absent and field in DEFAULTED else REFUSE)
            lax = (family, field) in (("llama", "max_position_embeddings"), ("sasrec", "num_attention_heads"))
            yield Case(f"config-{family}-{field}-more", family, {"config.json": dump(edited(config, field, config[field] + 1))},
                       EITHER if lax else REFUSE)
            yield Case(f"config-{family}-{field}-million", family, {"config.json": dump(edited(config, field, 10 ** 6))},
                       EITHER if family == "llama" and field == "max_position_embeddings" else REFUSE)


def config_others():
    bad_floats = {"text": b'"1e-5"', "negative": b"-1e-5", "1e308": b"1e308", "array": b"[]", "false": b"false"}
    for family, field in (("bert", "layer_norm_eps"), ("llama", "rms_norm_eps"), ("llama", "rope_theta"),
                          ("gpt2", "layer_norm_epsilon"), ("t5", "layer_norm_epsilon"), ("sasrec", "layer_norm_eps")):
        for kind, text in bad_floats.items():
            yield config_case(family, f"{field}-{kind}", with_text(config_of(family), field, text), field)
    for family, field in (("bert", "hidden_act"), ("llama", "hidden_act"), ("gpt2", "activation_function"),
                          ("t5", "feed_forward_proj"), ("sasrec", "hidden_act")):
        for kind, text in {"unknown": b'"mish"', "number": b"1", "empty": b'""', "array": b'["gelu"]'}.items():
            yield config_case(family, f"{field}-{kind}", with_text(config_of(family), field, text), field)
    for family in SIZE_FIELDS:
        for kind, text in {"unknown": b'"mystery"', "number": b"7", "null": b"null", "empty": b'""', "long": b'"' + b"b" * 9000 + b'"'}.items():
            yield config_case(family, f"model_type-{kind}", with_text(config_of(family), "model_type", text), "model_type")
        yield config_case(family, "model_type-missing", dump(edited(config_of(family), "model_type", ...)), "model_type")
        for kind, text in {"text": b'"Bert"', "number": b"1", "object": b"{}", "numbers": b"[1]"}.items():
            config = dict(config_of(family), architectures=["x"])
            yield config_case(family, f"architectures-{kind}", with_text(config, "architectures", text), "architectures")
    bert = base.bert_config()
    for kind, labels in {"array": b'["a","b","c"]', "gap": b'{"0":"a","1":"b","3":"c"}', "number": b'{"0":1,"1":"b","2":"c"}',
                         "words": b'{"a":"0","b":"1","c":"2"}', "null-label": b'{"0":null,"1":"b","2":"c"}',
                         "empty": b"{}", "text": b'"abc"'}.items():
        yield config_case("bert", f"id2label-{kind}", with_text(bert, "id2label", labels), "id2label")
    for kind, labels in {"fewer": {"0": "a"}, "more": {str(i): "x" for i in range(4)}}.items():
        yield config_case("bert", f"id2label-{kind}", dump(edited(bert, "id2label", labels)), ["id2label", "classifier"], file="")
    for kind, text in {"unknown": b'"poetry"', "number": b"3"}.items():
        yield config_case("bert", f"problem_type-{kind}", with_text(dict(bert, problem_type=""), "problem_type", text), "problem_type")
    yield config_case("bert", "position-embeddings", dump(dict(bert, position_embedding_type="relative_key")), "position_embedding_type")
    yield config_case("bert", "decoder", dump(dict(bert, is_decoder=True)), "is_decoder")


def config_ids():
    for family in SIZE_FIELDS:
        for kind, text in {"text": b'"0"', "half": b"0.5", "1e308": b"1e308", "object": b"{}", "true": b"true", "range": b"100000",
                           "negative": b"-7"}.items():
            config = dict(config_of(family), pad_token_id=0)
            yield config_case(family, f"pad_token_id-{kind}", with_text(config, "pad_token_id", text), "pad_token_id")
    for family, field in (("llama", "eos_token_id"), ("llama", "bos_token_id"), ("gpt2", "eos_token_id"),
                          ("t5", "decoder_start_token_id"), ("t5", "eos_token_id")):
        for kind, text in {"text": b'"0"', "half": b"0.5", "range": b"100000", "2p63": b"9223372036854775808", "object": b"{}"}.items():
            yield config_case(family, f"{field}-{kind}", with_text(config_of(family), field, text), field)
    yield config_case("llama", "eos_token_id-list", with_text(config_of("llama"), "eos_token_id", b"[0,100000]"), "eos_token_id")


def config_rope():
    llama = base.llama_config()
    for kind, text in {"text": b'"linear"', "number": b"2", "array": b"[]", "no-factor": b'{"rope_type":"linear"}',
                       "unknown": b'{"rope_type":"spiral","factor":2}', "zero": b'{"rope_type":"linear","factor":0}',
                       "negative": b'{"rope_type":"linear","factor":-2}', "huge": b'{"rope_type":"linear","factor":1e308}',
                       "text-factor": b'{"rope_type":"linear","factor":"2"}', "type-number": b'{"rope_type":3}'}.items():
        yield config_case("llama", f"rope_scaling-{kind}", with_text(dict(llama, rope_scaling=1), "rope_scaling", text), ["rope", "factor"])
    for kind, head in {"odd": 3, "zero": 0, "huge": 1 << 20, "text": "4"}.items():
        yield config_case("llama", f"head_dim-{kind}", dump(dict(llama, head_dim=head)), ["head_dim", "q_proj"], file="")
    for kind, heads in {"more": 4, "not-dividing": 3}.items():
        yield config_case("llama", f"kv-heads-{kind}", dump(dict(llama, num_key_value_heads=heads)), "num_key_value_heads")
    for field in ("attention_bias", "mlp_bias", "tie_word_embeddings"):
        yield config_case("llama", f"{field}-text", dump(edited(llama, field, "no")), field)
        yield config_case("llama", f"{field}-number", dump(edited(llama, field, 1)), field)
    for field in ("scale_embedding", "pad_to_max_length"):
        yield config_case("sasrec", f"{field}-text", dump(dict(base.sasrec_config(), **{field: "yes"})), field)


def cases():
    for part in (file_kinds, json_texts, json_bombs, config_sizes, config_others, config_ids, config_rope):
        yield from part()
