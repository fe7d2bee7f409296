#!/usr/bin/env python3
"""Writes the GGUF files of this folder, from checkpoints in Hugging Face's layout: pip install gguf numpy

  make.py model DIR TYPE OUT      the model of DIR and its tokenizer, matrices as TYPE (F32, F16, BF16, Q8_0, Q4_0 ...)
  make.py blocks OUT              a tensor of every block type, of random bits, and "NAME.f32": what it stands for
"""
import json
import struct
import sys

import gguf
import numpy as np

ARCHS = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "bert": "bert", "nomic_bert": "nomic-bert"}
BLOCKS = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
HALVES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q6_K": [208]}  # where a block has scales of 16 bits: no NaN there
MARK = "\u2581"


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def read_tensors(path):
    """numpy has no bfloat16, so the file is read by hand."""
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__" or entry["dtype"] not in ("F32", "F16", "BF16"):
            continue
        begin, end = entry["data_offsets"]
        raw = data[8 + size + begin:8 + size + end]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, np.float16 if entry["dtype"] == "F16" else np.float32).astype(np.float32)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def put_sizes(out, arch, config, max_tokens):
    rope = config.get("rope_parameters") or {}
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    if arch in ("bert", "nomic-bert"):
        out.add_layer_norm_eps(config["layer_norm_eps"])
        out.add_causal_attention(False)
        out.add_pooling_type(gguf.PoolingType.MEAN)
        if arch == "nomic-bert":
            out.add_rope_freq_base(rope.get("rope_theta", 1000.0))
        return
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    out.add_head_count_kv(config.get("num_key_value_heads", config["num_attention_heads"]))
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_key_length(head)
    out.add_value_length(head)
    out.add_rope_dimension_count(head)
    out.add_rope_freq_base(rope.get("rope_theta", config.get("rope_theta", 10000.0)))


def llama3_factors(rope, head):
    """Llama 3's scaling as llama.cpp has it: one divisor a frequency."""
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    trained, factor, divisors = rope["original_max_position_embeddings"], rope["factor"], []
    for frequency in 1.0 / rope["rope_theta"] ** (np.arange(0, head, 2) / head):
        length = 2 * np.pi / frequency
        smooth = (trained / length - low) / (high - low)
        divisors.append(1 if length < trained / high else factor if length > trained / low
                        else 1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, np.float32)


def put_tensors(out, arch, config, tensors, kind):
    ids = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(ids[arch], config["num_hidden_layers"])
    heads = {"q_proj": config["num_attention_heads"]}
    heads["k_proj"] = config.get("num_key_value_heads", config["num_attention_heads"])
    for key, values in tensors.items():
        if "pooler" in key or "position_ids" in key or (config.get("tie_word_embeddings") and key == "lm_head.weight"):
            continue
        name = names.get_name(key.removeprefix("bert."), try_suffixes=(".weight", ".bias"))
        if not name:
            sys.exit(f"{key}: has no name in GGUF")
        for projection, n_heads in heads.items():
            if arch == "llama" and projection in key:
                pairs = values.reshape(n_heads, 2, values.shape[0] // n_heads // 2, *values.shape[1:])
                values = pairs.swapaxes(1, 2).reshape(values.shape)
        values = np.ascontiguousarray(values, np.float32)
        number = getattr(gguf.GGMLQuantizationType, kind)
        if values.ndim < 2 or kind == "F32" or values.shape[-1] % gguf.GGML_QUANT_SIZES[number][0]:
            out.add_tensor(name, values)
        else:
            out.add_tensor(name, gguf.quants.quantize(values, number), raw_dtype=number)


def byte_level_pre(tokenizer):
    steps = json.dumps(tokenizer["pre_tokenizer"])
    return "llama-bpe" if "{1,3}" in steps else "qwen2" if "Split" in steps else "smollm" if "Digits" in steps \
        else "gpt-2"


def put_pieces(out, tokens, types, model):
    """SentencePiece's BPE has a score for each piece: here the negative rank of the merge that makes it."""
    scores, bytes_at = {}, {}
    for rank, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        scores.setdefault(left + right, float(-rank))
    for at, token in enumerate(tokens):
        if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            bytes_at[at] = gguf.TokenType.BYTE
        elif token == model["unk_token"]:
            bytes_at[at] = gguf.TokenType.UNKNOWN
    out.add_tokenizer_model("llama")
    out.add_tokenizer_pre("default")
    out.add_token_list(tokens)
    out.add_token_scores([scores.get(token, -1e6) for token in tokens])
    out.add_token_types([bytes_at.get(at, kind) for at, kind in enumerate(types)])
    out.add_unk_token_id(tokens.index(model["unk_token"]))


def put_word_pieces(out, tokens, types):
    def marked(token):
        if token.startswith("[") and token.endswith("]"):
            return token
        return token[2:] if token.startswith("##") else MARK + token

    out.add_tokenizer_model("bert")
    out.add_token_list([marked(token) for token in tokens])
    out.add_token_types(types)
    out.add_uint32("tokenizer.ggml.cls_token_id", tokens.index("[CLS]"))
    out.add_sep_token_id(tokens.index("[SEP]"))
    out.add_unk_token_id(tokens.index("[UNK]"))
    out.add_pad_token_id(tokens.index("[PAD]"))


def put_tokenizer(out, tokenizer, settings):
    model = tokenizer["model"]
    vocab, types = dict(model["vocab"]), {}
    for token in tokenizer["added_tokens"]:
        vocab[token["content"]] = token["id"]
        types[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    of_id = {id: token for token, id in vocab.items()}
    tokens = [of_id.get(id, f"[PAD{id}]") for id in range(max(of_id) + 1)]
    kinds = [types.get(id, gguf.TokenType.NORMAL if id in of_id else gguf.TokenType.UNUSED)
             for id in range(len(tokens))]
    if model["type"] == "WordPiece":
        put_word_pieces(out, tokens, kinds)
        return
    if model.get("byte_fallback"):
        put_pieces(out, tokens, kinds, model)
    else:
        out.add_tokenizer_model("gpt2")
        out.add_tokenizer_pre(byte_level_pre(tokenizer))
        out.add_token_list(tokens)
        out.add_token_types(kinds)
        out.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    for key, put in (("bos_token", out.add_bos_token_id), ("eos_token", out.add_eos_token_id)):
        token = settings.get(key)
        if token:
            put(vocab[token["content"] if isinstance(token, dict) else token])
    out.add_add_bos_token("TemplateProcessing" in json.dumps(tokenizer.get("post_processor")))
    if settings.get("chat_template"):
        out.add_chat_template(settings["chat_template"])


def make_model(folder, kind, path):
    config = read_json(folder + "/config.json")
    arch = ARCHS[config["model_type"]]
    out = gguf.GGUFWriter(path, arch)
    tokenizer = read_json(folder + "/tokenizer.json")
    put_sizes(out, arch, config, read_json(folder + "/sentence_bert_config.json").get("max_seq_length"))
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type") == "llama3":
        head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        out.add_tensor("rope_freqs.weight", llama3_factors(rope, head))
    put_tensors(out, arch, config, read_tensors(folder + "/model.safetensors"), kind)
    if tokenizer:
        put_tokenizer(out, tokenizer, read_json(folder + "/tokenizer_config.json"))
    elif "eos_token_id" in config:
        out.add_eos_token_id(config["eos_token_id"])
    return out


def make_blocks(path):
    random = np.random.default_rng(5)
    out = gguf.GGUFWriter(path, "llama")
    for kind in BLOCKS:
        number = getattr(gguf.GGMLQuantizationType, kind)
        values, size = gguf.GGML_QUANT_SIZES[number]
        if kind in ("F32", "F16", "BF16"):
            raw = gguf.quants.quantize(random.normal(size=(2, 256)).astype(np.float32), number)
        else:
            raw = random.integers(0, 256, (2, 512 // values, size), np.uint8)
            for at in HALVES[kind]:
                scales = random.normal(size=raw.shape[:2]).astype(np.float16)
                raw[:, :, at:at + 2] = scales[..., None].view(np.uint8)
            raw = raw.reshape(2, -1)
        out.add_tensor(kind, raw, raw_dtype=number)
        out.add_tensor(kind + ".f32", gguf.quants.dequantize(raw, number).astype(np.float32))
    return out


def main(argv):
    if len(argv) == 5 and argv[1] == "model":
        out = make_model(argv[2], argv[3], argv[4])
    elif len(argv) == 3 and argv[1] == "blocks":
        out = make_blocks(argv[2])
    else:
        sys.exit(__doc__)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main(sys.argv)
