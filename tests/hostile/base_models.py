"""Tiny valid models of each family, as {file name: bytes}, from the standard library alone. Weights are seeded."""
import json
import math
import random
import struct

HIDDEN, LAYERS, HEADS, INNER, POSITIONS, TYPES = 8, 2, 2, 12, 24, 2
LABELS = ["calm", "angry", "lost"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "where is my parcel the order came late thanks a lot price rose fell shares of bank".split()
PIECES = SPECIAL + list("abcdefghijklmnopqrstuvwxyz.,?!") + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz"] + [
    w for w in WORDS if len(w) > 1]


def dump(value):
    return json.dumps(value, ensure_ascii=False).encode()


# ---- safetensors ----

def floats(values):
    return struct.pack("<%df" % len(values), *values)


def make_tensors(shapes, seed=5):
    """{name: [dtype, shape, bytes]}; scales of norms are near 1."""
    rng, out = random.Random(seed), {}
    for name, shape in shapes.items():
        middle, spread = (1.0, 0.05) if len(shape) == 1 and "norm" in name.lower() and "bias" not in name else (0, 0.4)
        out[name] = ["F32", list(shape), floats([rng.gauss(middle, spread) for _ in range(math.prod(shape))])]
    return out


def header_of(tensors, metadata=None):
    header, at = ({} if metadata is None else {"__metadata__": metadata}), 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    return header


def pack(tensors, header=None, raw=None, length=None, tail=b"", padded=True):
    """A file of these tensors; `header` or its bytes `raw` and its `length` may be others than the right ones."""
    text = raw if raw is not None else json.dumps(header if header is not None else header_of(tensors, {"format": "pt"}),
                                                  separators=(",", ":")).encode()
    if padded:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text) if length is None else length) + text + b"".join(
        t[2] for t in tensors.values()) + tail


def as_halves(tensors, dtype):
    out = {}
    for name, (_, shape, data) in tensors.items():
        n = len(data) // 4
        if dtype == "F16":
            out[name] = [dtype, shape, struct.pack("<%de" % n, *struct.unpack("<%df" % n, data))]
        else:
            out[name] = [dtype, shape, struct.pack("<%dH" % n, *(b + 0x7FFF + (b >> 16 & 1) >> 16 & 0xFFFF
                                                                 for b in struct.unpack("<%dI" % n, data)))]
    return out


def widened(tensors):
    """Halves as the floats that they stand for."""
    out = {}
    for name, (dtype, shape, data) in tensors.items():
        n = len(data) // 2
        values = struct.unpack("<%de" % n, data) if dtype == "F16" else [
            struct.unpack("<f", struct.pack("<I", bits << 16))[0] for bits in struct.unpack("<%dH" % n, data)]
        out[name] = ["F32", shape, floats(list(values))]
    return out


# ---- a classifier of BERT's family, with each form of its tokenizer ----

def bert_config(**changes):
    config = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_size": HIDDEN,
              "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER,
              "max_position_embeddings": POSITIONS, "type_vocab_size": TYPES, "vocab_size": len(PIECES),
              "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0,
              "id2label": {str(i): label for i, label in enumerate(LABELS)}}
    config.update(changes)
    return config


def bert_shapes(prefix="bert.", labels=len(LABELS)):
    e, shapes = prefix + "embeddings.", {}
    shapes.update({e + "word_embeddings.weight": [len(PIECES), HIDDEN], e + "position_embeddings.weight": [POSITIONS, HIDDEN],
                   e + "token_type_embeddings.weight": [TYPES, HIDDEN], e + "LayerNorm.weight": [HIDDEN],
                   e + "LayerNorm.bias": [HIDDEN]})
    for i in range(LAYERS):
        layer = f"{prefix}encoder.layer.{i}."
        linear = {"attention.self.query": (HIDDEN, HIDDEN), "attention.self.key": (HIDDEN, HIDDEN),
                  "attention.self.value": (HIDDEN, HIDDEN), "attention.output.dense": (HIDDEN, HIDDEN),
                  "intermediate.dense": (INNER, HIDDEN), "output.dense": (HIDDEN, INNER)}
        for name, (rows, cols) in linear.items():
            shapes[layer + name + ".weight"], shapes[layer + name + ".bias"] = [rows, cols], [rows]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[layer + name + ".weight"] = shapes[layer + name + ".bias"] = [HIDDEN]
    shapes.update({prefix + "pooler.dense.weight": [HIDDEN, HIDDEN], prefix + "pooler.dense.bias": [HIDDEN]})
    if labels:
        shapes.update({"classifier.weight": [labels, HIDDEN], "classifier.bias": [labels]})
    return shapes


def added(tokens, first=0):
    return [{"id": first + i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True} for i, t in enumerate(tokens)]


def special(token, segment=0):
    return {"SpecialToken": {"id": token, "type_id": segment}}


def sequence(name, segment=0):
    return {"Sequence": {"id": name, "type_id": segment}}


def wordpiece():
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added(SPECIAL),
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                           "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing",
                               "single": [special("[CLS]"), sequence("A"), special("[SEP]")],
                               "pair": [special("[CLS]"), sequence("A"), special("[SEP]"), sequence("B", 1),
                                        special("[SEP]", 1)],
                               "special_tokens": {t: {"id": t, "ids": [SPECIAL.index(t)], "tokens": [t]}
                                                  for t in ("[CLS]", "[SEP]")}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": {p: i for i, p in enumerate(PIECES)}}}


def bert_settings(**changes):
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 10 ** 30,
                "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]",
                "mask_token": "[MASK]"}
    settings.update(changes)
    return settings


def bert():
    return {"config.json": dump(bert_config()), "model.safetensors": pack(make_tensors(bert_shapes())),
            "tokenizer.json": dump(wordpiece()), "tokenizer_config.json": dump(bert_settings())}


def bert_vocab_txt():
    files = bert()
    del files["tokenizer.json"]
    files["vocab.txt"] = "".join(p + "\n" for p in PIECES).encode()
    return files


def sentence():
    """An encoder of sentence-transformers."""
    module = lambda at, path, kind: {"idx": at, "name": str(at), "path": path, "type": "sentence_transformers.models." + kind}
    files = bert()
    files["config.json"] = dump(bert_config(architectures=["BertModel"]))
    files["model.safetensors"] = pack(make_tensors(bert_shapes("", 0)))
    files["modules.json"] = dump([module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling"),
                                  module(2, "2_Normalize", "Normalize")])
    files["1_Pooling/config.json"] = dump({"word_embedding_dimension": HIDDEN, "pooling_mode_cls_token": False,
                                           "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
                                           "pooling_mode_mean_sqrt_len_tokens": False})
    files["sentence_bert_config.json"] = dump({"max_seq_length": 20, "do_lower_case": False})
    return files


HEADS_JSON = [{"name": "mood", "labels": LABELS, "problem_type": "single_label_classification", "temperature": 1.5,
               "polarity": {"calm": 1, "angry": -1, "lost": 0}},
              {"name": "topic", "labels": ["post", "money"], "problem_type": "multi_label_classification",
               "threshold": {"post": 0.4, "money": 0.5}}]


def two_heads():
    """Heads of one's own, named by attend.json."""
    files = bert()
    files["config.json"] = dump(bert_config(architectures=["BertModel"]))
    shapes = bert_shapes("", 0)
    for head in HEADS_JSON:
        n = len(head["labels"])
        shapes.update({f"heads.{head['name']}.weight": [n, HIDDEN], f"heads.{head['name']}.bias": [n]})
    files["model.safetensors"] = pack(make_tensors(shapes))
    files["attend.json"] = dump({"task": "classify", "pooling": "mean", "normalize": False, "max_length": 20,
                                 "heads": HEADS_JSON, "languages": ["en"], "licence": "MIT"})
    return files


def adapter_config(**changes):
    config = {"peft_type": "LORA", "base_model_name_or_path": "base", "task_type": "SEQ_CLS", "r": 2, "lora_alpha": 4,
              "bias": "none", "fan_in_fan_out": False, "use_rslora": False, "target_modules": ["query"],
              "modules_to_save": ["classifier"]}
    config.update(changes)
    return config


def adapter_shapes():
    shapes = {}
    for i in range(LAYERS):
        name = f"base_model.model.bert.encoder.layer.{i}.attention.self.query"
        shapes.update({name + ".lora_A.weight": [2, HIDDEN], name + ".lora_B.weight": [HIDDEN, 2]})
    shapes.update({"base_model.model.classifier.weight": [len(LABELS), HIDDEN], "base_model.model.classifier.bias": [len(LABELS)]})
    return shapes


def adapter():
    """Its base is `bert`, which the runner lays beside it."""
    return {"adapter_config.json": dump(adapter_config()),
            "adapter_model.safetensors": pack(make_tensors(adapter_shapes(), 6))}


# ---- decoders ----

def byte_letters():
    """GPT-2's printable stand-ins for bytes."""
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    extra = iter(range(256, 512))
    return [chr(b) if b in kept else chr(next(extra)) for b in range(256)]


MERGES = [("t", "h"), ("th", "e"), ("\u0120", "the"), ("a", "n"), ("an", "d")]
BYTE_TOKENS = ["<|endoftext|>"] + byte_letters() + [a + b for a, b in MERGES]


def bpe():
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    pattern = "'s|'t| ?\\p{L}+| ?\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
    return {"version": "1.0", "added_tokens": added(BYTE_TOKENS[:1]), "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}, dict(level)]},
            "post_processor": None, "decoder": dict(level),
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": False,
                      "vocab": {t: i for i, t in enumerate(BYTE_TOKENS)}, "merges": [f"{a} {b}" for a, b in MERGES]}}


def llama_config(**changes):
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
              "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": 1,
              "intermediate_size": INNER, "max_position_embeddings": 64, "vocab_size": len(BYTE_TOKENS),
              "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": False,
              "attention_bias": False, "bos_token_id": 0, "eos_token_id": 0}
    config.update(changes)
    return config


def llama_shapes():
    head = HIDDEN // HEADS
    shapes = {"model.embed_tokens.weight": [len(BYTE_TOKENS), HIDDEN], "model.norm.weight": [HIDDEN],
              "lm_head.weight": [len(BYTE_TOKENS), HIDDEN]}
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        for name, shape in {"input_layernorm": [HIDDEN], "post_attention_layernorm": [HIDDEN],
                            "self_attn.q_proj": [HIDDEN, HIDDEN], "self_attn.k_proj": [head, HIDDEN],
                            "self_attn.v_proj": [head, HIDDEN], "self_attn.o_proj": [HIDDEN, HIDDEN],
                            "mlp.gate_proj": [INNER, HIDDEN], "mlp.up_proj": [INNER, HIDDEN],
                            "mlp.down_proj": [HIDDEN, INNER]}.items():
            shapes[layer + name + ".weight"] = shape
    return shapes


def llama():
    return {"config.json": dump(llama_config()), "model.safetensors": pack(make_tensors(llama_shapes())),
            "tokenizer.json": dump(bpe()), "tokenizer_config.json": dump({"eos_token": "<|endoftext|>"}),
            "generation_config.json": dump({"eos_token_id": 0, "max_new_tokens": 8})}


def gpt2():
    shapes = {"wte.weight": [len(BYTE_TOKENS), HIDDEN], "wpe.weight": [POSITIONS, HIDDEN], "ln_f.weight": [HIDDEN],
              "ln_f.bias": [HIDDEN]}
    for i in range(LAYERS):
        for name, rows, cols in (("attn.c_attn", HIDDEN, 3 * HIDDEN), ("attn.c_proj", HIDDEN, HIDDEN),
                                 ("mlp.c_fc", HIDDEN, 4 * HIDDEN), ("mlp.c_proj", 4 * HIDDEN, HIDDEN)):
            shapes[f"h.{i}.{name}.weight"], shapes[f"h.{i}.{name}.bias"] = [rows, cols], [cols]
        for name in ("ln_1", "ln_2"):
            shapes[f"h.{i}.{name}.weight"] = shapes[f"h.{i}.{name}.bias"] = [HIDDEN]
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": HIDDEN, "n_layer": LAYERS,
              "n_head": HEADS, "n_positions": POSITIONS, "vocab_size": len(BYTE_TOKENS), "activation_function": "gelu_new",
              "layer_norm_epsilon": 1e-5, "bos_token_id": 0, "eos_token_id": 0}
    return {"config.json": dump(config), "model.safetensors": pack(make_tensors(shapes)),
            "vocab.json": dump({t: i for i, t in enumerate(BYTE_TOKENS)}),
            "merges.txt": ("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES)).encode(),
            "tokenizer_config.json": dump({"tokenizer_class": "GPT2Tokenizer"})}


# ---- an encoder-decoder with a Unigram tokenizer ----

MARK = "\u2581"
UNIGRAM = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]] + [[c, -4.0 - i / 10] for i, c in enumerate(
    MARK + "etaoinshrdlucmfwygpbvkxqjz.,?")] + [[MARK + w, -6.0] for w in WORDS]


def unigram():
    return {"version": "1.0", "added_tokens": added(["<pad>", "</s>", "<unk>"]),
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
            "pre_tokenizer": {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True,
                              "prepend_scheme": "always"},
            "post_processor": {"type": "TemplateProcessing", "single": [sequence("A"), special("</s>")],
                               "pair": [sequence("A"), special("</s>"), sequence("B"), special("</s>")],
                               "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
            "decoder": {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True},
            "model": {"type": "Unigram", "unk_id": 2, "vocab": UNIGRAM, "byte_fallback": False}}


def t5_config(**changes):
    config = {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": HIDDEN, "d_kv": 4,
              "d_ff": INNER, "num_layers": LAYERS, "num_decoder_layers": 1, "num_heads": HEADS,
              "relative_attention_num_buckets": 8, "relative_attention_max_distance": 32, "feed_forward_proj": "relu",
              "layer_norm_epsilon": 1e-6, "vocab_size": len(UNIGRAM), "tie_word_embeddings": True, "pad_token_id": 0,
              "eos_token_id": 1, "decoder_start_token_id": 0, "is_encoder_decoder": True}
    config.update(changes)
    return config


def t5():
    shapes = {"shared.weight": [len(UNIGRAM), HIDDEN]}
    for side, layers in (("encoder", LAYERS), ("decoder", 1)):
        for i in range(layers):
            parts = ["SelfAttention"] + (["EncDecAttention"] if side == "decoder" else [])
            block = f"{side}.block.{i}.layer."
            for k, part in enumerate(parts):
                for name in "qkvo":
                    shapes[f"{block}{k}.{part}.{name}.weight"] = [HIDDEN, HIDDEN]
                shapes[f"{block}{k}.layer_norm.weight"] = [HIDDEN]
            if i == 0:
                shapes[block + "0.SelfAttention.relative_attention_bias.weight"] = [8, HEADS]
            shapes[f"{block}{len(parts)}.DenseReluDense.wi.weight"] = [INNER, HIDDEN]
            shapes[f"{block}{len(parts)}.DenseReluDense.wo.weight"] = [HIDDEN, INNER]
            shapes[f"{block}{len(parts)}.layer_norm.weight"] = [HIDDEN]
        shapes[side + ".final_layer_norm.weight"] = [HIDDEN]
    return {"config.json": dump(t5_config()), "model.safetensors": pack(make_tensors(shapes)),
            "tokenizer.json": dump(unigram()), "tokenizer_config.json": dump({"eos_token": "</s>"})}


# ---- a recommender ----

ITEMS = 20


def sasrec_config(**changes):
    config = {"model_type": "sasrec", "num_items": ITEMS, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
              "num_attention_heads": 1, "max_position_embeddings": 10, "hidden_act": "relu", "layer_norm_eps": 1e-8,
              "scale_embedding": True, "pad_token_id": 0, "pad_to_max_length": False}
    config.update(changes)
    return config


def sasrec():
    shapes = {"item_emb.weight": [ITEMS + 1, HIDDEN], "pos_emb.weight": [11, HIDDEN], "last_layernorm.weight": [HIDDEN],
              "last_layernorm.bias": [HIDDEN]}
    for i in range(LAYERS):
        for name in ("attention_layernorms", "forward_layernorms"):
            shapes[f"{name}.{i}.weight"] = shapes[f"{name}.{i}.bias"] = [HIDDEN]
        a, f = f"attention_layers.{i}.", f"forward_layers.{i}."
        shapes.update({a + "in_proj_weight": [3 * HIDDEN, HIDDEN], a + "in_proj_bias": [3 * HIDDEN],
                       a + "out_proj.weight": [HIDDEN, HIDDEN], a + "out_proj.bias": [HIDDEN],
                       f + "conv1.weight": [HIDDEN, HIDDEN, 1], f + "conv1.bias": [HIDDEN],
                       f + "conv2.weight": [HIDDEN, HIDDEN, 1], f + "conv2.bias": [HIDDEN]})
    items = [{"index": i, "id": f"sku-{i}", "title": f"thing {i}", "popularity": ITEMS - i} for i in range(1, ITEMS + 1)]
    return {"config.json": dump(sasrec_config()), "model.safetensors": pack(make_tensors(shapes)),
            "items.jsonl": b"".join(dump(item) + b"\n" for item in items)}


# ---- GGUF ----

U32, F32, BOOL, STRING, ARRAY, U64, I32 = 4, 6, 7, 8, 9, 10, 5


def gguf_text(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def gguf_value(kind, value):
    if kind == ARRAY:
        item, values = value
        return struct.pack("<IQ", item, len(values)) + b"".join(gguf_value(item, v) for v in values)
    if kind == STRING:
        return gguf_text(value)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<B", U64: "<Q", I32: "<i"}[kind], value)


def gguf_values():
    names = {"context_length": 64, "embedding_length": HIDDEN, "block_count": LAYERS, "feed_forward_length": INNER,
             "attention.head_count": HEADS, "attention.head_count_kv": 1, "attention.key_length": HIDDEN // HEADS,
             "rope.dimension_count": HIDDEN // HEADS}
    values = {"general.architecture": (STRING, "llama")}
    values.update({"llama." + key: (U32, value) for key, value in names.items()})
    values.update({"llama.attention.layer_norm_rms_epsilon": (F32, 1e-6), "llama.rope.freq_base": (F32, 10000.0),
                   "tokenizer.ggml.model": (STRING, "gpt2"), "tokenizer.ggml.pre": (STRING, "gpt-2"),
                   "tokenizer.ggml.tokens": (ARRAY, (STRING, BYTE_TOKENS)),
                   "tokenizer.ggml.token_type": (ARRAY, (I32, [3] + [1] * (len(BYTE_TOKENS) - 1))),
                   "tokenizer.ggml.merges": (ARRAY, (STRING, [f"{a} {b}" for a, b in MERGES])),
                   "tokenizer.ggml.eos_token_id": (U32, 0)})
    return values


def gguf_tensors():
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    parts = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
             "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for i in range(LAYERS):
        for name, short in parts.items():
            names[f"model.layers.{i}.{name}.weight"] = f"blk.{i}.{short}.weight"
    return {names[name]: [0, shape, data] for name, (_, shape, data) in make_tensors(llama_shapes()).items()}


def gguf_pack(values=None, tensors=None, magic=b"GGUF", version=3, n_values=None, n_tensors=None, offsets=None,
              ranks=None, tail=b""):
    """`offsets` and `ranks` replace those of the tensors of that name."""
    values = gguf_values() if values is None else values
    tensors = gguf_tensors() if tensors is None else tensors
    out = magic + struct.pack("<IQQ", version, len(tensors) if n_tensors is None else n_tensors,
                              len(values) if n_values is None else n_values)
    for key, (kind, value) in values.items():
        out += gguf_text(key) + struct.pack("<I", kind) + gguf_value(kind, value)
    data, at = b"", 0
    for name, (kind, shape, raw) in tensors.items():
        place = (offsets or {}).get(name, at)
        rank = (ranks or {}).get(name, len(shape))
        out += gguf_text(name) + struct.pack("<I", rank) + b"".join(struct.pack("<Q", d) for d in reversed(shape))
        out += struct.pack("<IQ", kind, place)
        data += raw + b"\0" * (-len(raw) % 32)
        at = len(data)
    return out + b"\0" * (-len(out) % 32) + data + tail


def gguf():
    return {"model.gguf": gguf_pack()}


FAMILIES = {f.__name__: f for f in (bert, bert_vocab_txt, sentence, two_heads, adapter, llama, gpt2, t5, sasrec, gguf)}
