"""tokenizer.json of each kind, vocab.txt, vocab.json with merges.txt, tokenizer_config.json."""
import json

import base_models as base
from base_models import dump, sequence, special
from cases import Case, EITHER, REFUSE, edited, with_text

ROWS = len(base.PIECES)
NAME = "tokenizer.json"


def case(name, family, tokenizer, words=(), expect=REFUSE):
    text = tokenizer if isinstance(tokenizer, bytes) else dump(tokenizer)
    return Case(f"tokenizer-{name}", family, {NAME: text}, expect, NAME, words)


BAD_IDS = {"rows": ROWS, "huge": 1 << 40, "negative": -1, "half": 1.5, "text": "5", "null": None, "list": [5], "2p31": 1 << 31}


def wordpiece():
    good = base.wordpiece()
    for kind, value in BAD_IDS.items():
        yield case(f"wordpiece-id-{kind}", "bert", edited(good, "model/vocab/parcel", value), ["parcel"])
        yield case(f"wordpiece-added-{kind}", "bert", edited(good, "added_tokens/4/id", value), ["added_tokens"])
        yield case(f"wordpiece-template-{kind}", "bert", edited(good, "post_processor/special_tokens/[SEP]/ids/0", value), ["special_tokens"])
    bad = {
        "model": {"null": None, "text": "WordPiece", "missing": ..., "list": []},
        "model/type": {"unknown": "CharLevel", "number": 1, "bpe": "BPE", "unigram": "Unigram", "level": "WordLevel"},
        "model/vocab": {"null": None, "list": [], "missing": ..., "empty": {}, "text": "x"},
        "model/vocab/parcel": {"twice": 7},
        "model/unk_token": {"unknown": "<none>", "number": 1, "missing": ..., "empty": "", "null": None},
        "model/continuing_subword_prefix": {"number": 1, "long": "#" * 10000, "missing": ...},
        "model/max_input_chars_per_word": {"zero": 0, "negative": -1, "huge": 1 << 40, "text": "100", "half": 1.5, "missing": ...},
        "normalizer": {"unknown": {"type": "Magic"}, "list": [], "text": "x", "empty": {}},
        "normalizer/lowercase": {"text": "yes", "missing": ..., "number": 1}, "normalizer/strip_accents": {"text": "yes"},
        "normalizer/clean_text": {"number": 1},
        "pre_tokenizer": {"null": None, "unknown": {"type": "Magic"}, "text": "x", "missing": ...},
        "post_processor": {"unknown": {"type": "Magic"}, "text": "x", "list": [], "empty": {}},
        "post_processor/single": {"null": None, "empty": [], "text": "x", "no-text": [special("[CLS]")], "two-texts": [sequence("A"), sequence("A")],
                                  "second-text": [sequence("B")], "unknown": [special("[NONE]"), sequence("A")], "number": [1],
                                  "many": [special("[CLS]")] * 5000 + [sequence("A")], "letter": [sequence("C")], "both": [sequence("A"), sequence("B", 1)]},
        "post_processor/pair": {"one-text": [sequence("A")], "null": None, "segment": [sequence("A"), sequence("B", 2)],
                                "segment-huge": [sequence("A"), sequence("B", 1 << 40)], "segment-negative": [sequence("A"), sequence("B", -1)],
                                "segment-text": [sequence("A"), sequence("B", "1")], "special-segment": [sequence("A"), special("[SEP]", 9), sequence("B")]},
        "post_processor/special_tokens": {"null": None, "list": [], "empty": {}, "missing": ...},
        "post_processor/special_tokens/[SEP]/ids": {"null": None, "text": "3", "empty": [], "many": [3] * 5000},
        "decoder": {"unknown": {"type": "Magic"}, "text": "x", "list": []}, "decoder/prefix": {"number": 1, "long": "#" * 10000}, "decoder/cleanup": {"text": "no"},
        "added_tokens": {"object": {}, "text": "x", "numbers": [1], "null-inside": [None]},
        "added_tokens/4/content": {"number": 1, "missing": ..., "empty": "", "null": None, "long": "m" * 100000, "other-text": "parcel"},
        "added_tokens/4/special": {"text": "yes", "missing": ...}, "added_tokens/4/lstrip": {"number": 1}, "added_tokens/4/normalized": {"null": None},
        "added_tokens/4/single_word": {"text": "no"}, "added_tokens/4/rstrip": {"list": []},
        "version": {"two": "2.0", "number": 1}}
    lax = {"added_tokens/4/content-empty", "post_processor/special_tokens/[SEP]/ids-empty", "model/continuing_subword_prefix-missing"}
    for path, kinds in bad.items():
        for kind, value in kinds.items():
            word = path.split("/")
            yield case(f"wordpiece-{path.replace('/', '-')}-{kind}", "bert", edited(good, path, value), [word[0], word[-1]],
                       EITHER if f"{path}-{kind}" in lax else REFUSE)
    yield case("wordpiece-duplicate-token", "bert", with_text(good, "model/vocab/parcel", b'12,"parcel":13'), ["parcel"])
    yield case("wordpiece-added-twice", "bert", edited(good, "added_tokens", base.added(base.SPECIAL) + base.added(base.SPECIAL)), ["added_tokens"])
    one_row = {"config.json": dump(base.bert_config(type_vocab_size=1)),
               "model.safetensors": base.pack(base.make_tensors({n: [1, base.HIDDEN] if "token_type" in n else s for n, s in base.bert_shapes().items()}))}
    yield Case("tokenizer-wordpiece-segments", "bert", one_row, REFUSE, NAME, ["segment", "post_processor"])
    yield Case("tokenizer-vocab-segments", "bert_vocab_txt", one_row, REFUSE, "vocab.txt", ["segment"])
    yield Case("tokenizer-sentencepiece-only", "bert", {NAME: None, "tokenizer.model": b"\x0a\x0e"}, REFUSE, "tokenizer.model")


def bpe():
    good, last = base.bpe(), len(base.BYTE_TOKENS) - 1
    for kind, value in dict(BAD_IDS, rows=last + 1).items():
        yield case(f"bpe-id-{kind}", "llama", edited(good, "model/vocab/and", value), ["and"])
        yield case(f"bpe-added-{kind}", "llama", edited(good, "added_tokens/0/id", value), ["added_tokens"])
    merges = good["model"]["merges"]
    pattern = "pre_tokenizer/pretokenizers/0/pattern"
    bad = {
        "model/vocab": {"null": None, "list": [], "empty": {}, "missing": ...}, "model/vocab/and": {"twice": 5},
        "model/merges": {"null": None, "missing": ..., "text": "t h", "numbers": [1], "one": ["the"], "three": ["t h e"], "unknown": ["q z"], "left": ["\u4e2d h"],
                         "empty-side": [" h"], "objects": [{}], "long": ["t " + "h" * 100000], "nested": [["t"]], "nested-three": [["t", "h", "e"]],
                         "nested-number": [["t", 1]]},
        "model/unk_token": {"unknown": "<none>", "number": 1}, "model/dropout": {"some": 0.1, "text": "x"}, "model/byte_fallback": {"text": "yes"},
        "model/fuse_unk": {"number": 1}, "model/ignore_merges": {"text": "no"}, "model/continuing_subword_prefix": {"number": 1, "long": "#" * 9999},
        "model/end_of_word_suffix": {"list": [], "long": "w" * 9999},
        "normalizer": {"unknown": {"type": "Magic"}, "text": "x", "list": [], "precompiled": {"type": "Precompiled", "precompiled_charsmap": "!!!"},
                       "precompiled-short": {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
                       "precompiled-sizes": {"type": "Precompiled", "precompiled_charsmap": "////fwAAAAAAAAAA"},
                       "precompiled-null": {"type": "Precompiled", "precompiled_charsmap": None}, "replace": {"type": "Replace", "pattern": {"String": ""}, "content": "x"},
                       "prepend": {"type": "Prepend", "prepend": 1}, "sequence": {"type": "Sequence", "normalizers": 1},
                       "nested": {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [
                           {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": []}]}]}]}]},
                       "many": {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 5000}},
        "pre_tokenizer": {"unknown": {"type": "Magic"}, "text": "x", "no-type": {}, "delimiter": {"type": "CharDelimiterSplit", "delimiter": "ab"},
                          "metaspace": {"type": "Metaspace", "replacement": "", "prepend_scheme": "always"},
                          "scheme": {"type": "Metaspace", "replacement": base.MARK, "prepend_scheme": "often"},
                          "digits": {"type": "Digits", "individual_digits": 1}, "behaviour": {"type": "Punctuation", "behavior": "Odd"}},
        pattern: {"null": None, "text": "x", "empty": {}, "number": {"Regex": 1}, "unclosed": {"Regex": "("}, "class": {"Regex": "[a"}, "repeat": {"Regex": "*"},
                  "backwards": {"Regex": "a{5,2}"}, "reference": {"Regex": "(a)\\1"}, "recursion": {"Regex": "(?R)"}, "recursion-named": {"Regex": "(?<a>(?&a)b)"},
                  "callout": {"Regex": "(?C1)a"}, "byte": {"Regex": "\\C"}, "verb": {"Regex": "(*LIMIT_MATCH=1)a"}, "verb-utf": {"Regex": "(*NO_UTF_CHECK)a"},
                  "huge-repeat": {"Regex": "((a{1000}){1000}){1000}"}, "long": {"Regex": "a|" * 50000 + "b"}, "deep": {"Regex": "(" * 3000 + ")" * 3000}},
        "pre_tokenizer/pretokenizers/0/behavior": {"unknown": "Odd", "number": 1, "missing": ...}, "pre_tokenizer/pretokenizers/0/invert": {"text": "no"},
        "post_processor": {"unknown": {"type": "Magic"}, "bert-no-ids": {"type": "BertProcessing"}, "roberta-range": {"type": "RobertaProcessing", "sep": ["x", 1 << 30], "cls": ["y", 0]},
                           "roberta-text": {"type": "RobertaProcessing", "sep": "x", "cls": ["y", 0]}, "sequence": {"type": "Sequence", "processors": 5},
                           "trim": {"type": "ByteLevel", "trim_offsets": "yes"}},
        "decoder": {"unknown": {"type": "Magic"}, "text": "x", "strip": {"type": "Strip", "content": " ", "start": -1, "stop": 0},
                    "strip-huge": {"type": "Strip", "content": " ", "start": 1 << 60, "stop": 0}, "suffix": {"type": "BPEDecoder", "suffix": ""}}}
    lax = {"model/merges-empty-side", pattern + "-verb", pattern + "-repeat", "normalizer-precompiled-null", "normalizer-nested", pattern + "-huge-repeat", pattern + "-deep"}
    for path, kinds in bad.items():
        for kind, value in kinds.items():
            word = path.split("/")
            yield case(f"bpe-{path.replace('/', '-')}-{kind}", "llama", edited(good, path, value), [word[0], word[-1]],
                       EITHER if f"{path}-{kind}" in lax else REFUSE)
    yield case("bpe-merges-many-unknown", "llama", edited(good, "model/merges", merges + ["q z"] * 100000), ["merges"])


def unigram():
    good = base.unigram()
    bad = {
        "model/vocab": {"null": None, "empty": [], "object": {"a": 1}, "numbers": [1], "more": base.UNIGRAM + [["more", -1.0]], "twice": base.UNIGRAM[:-1] + [base.UNIGRAM[3]]},
        "model/vocab/5": {"text": "x", "one": ["x"], "score-text": ["x", "1"], "score-null": ["x", None], "piece-number": [1, -1.0], "null": None, "long": ["p" * 100000, -1.0]},
        "model/unk_id": {"rows": len(base.UNIGRAM), "negative": -1, "text": "2", "half": 0.5, "huge": 1 << 50}, "model/byte_fallback": {"text": "yes"},
        "pre_tokenizer": {"text": "x", "replacement": {"type": "Metaspace", "replacement": 5}}, "normalizer": {"regex": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}}}
    lax = {"model/vocab-twice"}
    for path, kinds in bad.items():
        for kind, value in kinds.items():
            word = path.split("/")
            yield case(f"unigram-{path.replace('/', '-')}-{kind}", "t5", edited(good, path, value), [word[0], word[-1]], EITHER if f"{path}-{kind}" in lax else REFUSE)
    for kind, text in {"nan": b"NaN", "1e999": b"1e999", "infinity": b"-Infinity"}.items():
        yield case(f"unigram-score-{kind}", "t5", with_text(good, "model/vocab/5/1", text))
    for kind, text in {"1e308": b"1e308", "-1e308": b"-1e308"}.items():
        yield case(f"unigram-score-{kind}", "t5", with_text(good, "model/vocab/5/1", text), (), EITHER)


def vocab_txt():
    lines = base.PIECES
    texts = {"more": lines + ["one-more"], "twice": lines[:-1] + [lines[6]], "no-unk": [p for p in lines if p != "[UNK]"] + ["x"],
             "no-cls": [p if p != "[CLS]" else "x" for p in lines], "long": lines[:-1] + ["w" * 100000]}
    for kind, value in texts.items():
        yield Case(f"vocab-{kind}", "bert_vocab_txt", {"vocab.txt": "".join(p + "\n" for p in value).encode()},
                   EITHER if kind in ("twice",) else REFUSE, "vocab.txt")
    for kind, value in {"nul": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\0b\n", "latin1": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\ncaf\xe9\n", "utf16": "\n".join(lines).encode("utf-16"),
                        "feeds": b"\n" * 100000, "noise": bytes(range(256)) * 64}.items():
        yield Case(f"vocab-{kind}", "bert_vocab_txt", {"vocab.txt": value}, REFUSE, "vocab.txt")
    bad = {"do_lower_case": {"text": "yes", "number": 1}, "tokenizer_class": {"other": "T5Tokenizer", "number": 1}, "unk_token": {"unknown": "<none>", "number": 1, "empty": ""},
           "cls_token": {"object": {"content": 5}, "unknown": "<none>"}, "sep_token": {"list": ["[SEP]"]}, "tokenize_chinese_chars": {"text": "no"},
           "strip_accents": {"number": 0}, "do_basic_tokenize": {"false": False, "text": "x"},
           "added_tokens_decoder": {"list": [], "text": "x", "range": {"100000": {"content": "a"}}, "word": {"five": {"content": "a"}}, "negative": {"-1": {"content": "a"}},
                                    "no-content": {"5": {}}, "number": {"5": 1}, "huge": {"9" * 30: {"content": "a"}}, "twice": {"5": {"content": "zz"}, "05": {"content": "yy"}}}}
    for field, kinds in bad.items():
        for kind, value in kinds.items():
            settings = dump(base.bert_settings(**{field: value}))
            vocab = field.endswith("_token") and kind == "unknown"
            yield Case(f"settings-{field}-{kind}", "bert_vocab_txt", {"tokenizer_config.json": settings}, EITHER if kind == "twice" else REFUSE,
                       "vocab.txt" if vocab else "tokenizer_config.json", field)


def merges_txt():
    good = base.gpt2()
    vocab = json.loads(good["vocab.json"])
    for kind, value in {"one": b"the\n", "three": b"t h e\n", "unknown": b"q z\n", "nul": b"t\0 h\n", "latin1": b"caf\xe9 x\n", "utf16": good["merges.txt"].decode().encode("utf-16"),
                        "long": b"t " + b"h" * 100000 + b"\n", "json": b"{}"}.items():
        yield Case(f"merges-{kind}", "gpt2", {"merges.txt": value}, REFUSE, "merges.txt")
    for kind, value in {"rows": len(base.BYTE_TOKENS), "negative": -1, "text": "7", "half": 0.5, "twice": 5, "huge": 1 << 40}.items():
        yield Case(f"vocab-json-{kind}", "gpt2", {"vocab.json": dump(dict(vocab, the=value))}, REFUSE, "vocab.json", ["the", "vocab"])
    yield Case("vocab-json-list", "gpt2", {"vocab.json": b"[]"}, REFUSE, "vocab.json")
    yield Case("vocab-json-gone", "gpt2", {"vocab.json": None}, REFUSE, "", ["vocab.json", "tokenizer.json"])


def cases():
    for part in (wordpiece, bpe, unigram, vocab_txt, merges_txt):
        yield from part()
