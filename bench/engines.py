#!/usr/bin/env python3
"""attentd against ONNX Runtime on one BERT encoder, f32, in one run; prints a Markdown table. Called by bench/run.

Both read the same token ids of the same texts, and texts are tokenised before the clock starts. The engines take
turns, so that a machine whose clock moves moves both. attentd: `attend bench`, one worker a core. ONNX Runtime: every
batch shape and thread layout below is tried, and the fastest of each workload takes the turns. Its graph is made of the
operators that its own optimiser fuses a BERT into (Attention, SkipLayerNormalization, BiasGelu): that is its best.
"""
import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
import tokenizers
from onnx import TensorProto, helper, numpy_helper

WORKLOADS = ("short", "news")
BATCHES = (1, 2, 4, 8, 16, 32)  # texts sorted by length: the padding costs little


# ---- the model as an ONNX graph ----

def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        start = f.tell()
        tensors = {}
        for name, info in header.items():
            if name == "__metadata__" or info["dtype"] != "F32":
                continue
            begin, end = info["data_offsets"]
            f.seek(start + begin)
            tensors[name] = np.frombuffer(f.read(end - begin), np.float32).reshape(info["shape"])
    return tensors


def build_graph(directory):
    """input_ids [B,T] int32, lengths [B] int32 → vectors [B,H]: mean over the real tokens, scaled to length 1."""
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    weights = read_safetensors(os.path.join(directory, "model.safetensors"))
    heads, eps, hidden = config["num_attention_heads"], config["layer_norm_eps"], config["hidden_size"]
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(op, inputs, outputs, **attributes):
        contrib = op in ("EmbedLayerNormalization", "Attention", "SkipLayerNormalization", "BiasGelu")
        nodes.append(helper.make_node(op, inputs, outputs, domain="com.microsoft" if contrib else "", **attributes))
        return outputs[0]

    def weight(name):
        return constant(name, weights[name])

    def transposed(name):
        return constant(name, weights[name].T)

    # The mask of the embedding operator would have to be made of the lengths; Attention takes the lengths themselves.
    embeddings = [weight(f"embeddings.{x}") for x in ("word_embeddings.weight", "position_embeddings.weight",
                                                     "token_type_embeddings.weight", "LayerNorm.weight",
                                                     "LayerNorm.bias")]
    x = add("EmbedLayerNormalization", ["input_ids", "segment_ids"] + embeddings, ["x0", "unused"], epsilon=eps)
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        names = [f"{layer}attention.self.{x}" for x in ("query", "key", "value")]
        qkv = constant(f"{layer}qkv.weight", np.concatenate([weights[n + ".weight"].T for n in names], axis=1))
        bias = constant(f"{layer}qkv.bias", np.concatenate([weights[n + ".bias"] for n in names]))
        context = add("Attention", [x, qkv, bias, "lengths"], [f"context{i}"], num_heads=heads)
        out = add("MatMul", [context, transposed(f"{layer}attention.output.dense.weight")], [f"out{i}"])
        y = add("SkipLayerNormalization",
                [out, x, weight(f"{layer}attention.output.LayerNorm.weight"),
                 weight(f"{layer}attention.output.LayerNorm.bias"), weight(f"{layer}attention.output.dense.bias")],
                [f"y{i}"], epsilon=eps)
        inner = add("MatMul", [y, transposed(f"{layer}intermediate.dense.weight")], [f"inner{i}"])
        inner = add("BiasGelu", [inner, weight(f"{layer}intermediate.dense.bias")], [f"gelu{i}"])
        out = add("MatMul", [inner, transposed(f"{layer}output.dense.weight")], [f"down{i}"])
        x = add("SkipLayerNormalization",
                [out, y, weight(f"{layer}output.LayerNorm.weight"), weight(f"{layer}output.LayerNorm.bias"),
                 weight(f"{layer}output.dense.bias")],
                [f"x{i + 1}"], epsilon=eps)
    add("Mul", [x, "weights"], ["weighted"])  # weights [B,T,1]: 1 / length for real tokens, else 0
    add("ReduceSum", ["weighted", constant("axis", np.array([1], np.int64))], ["mean"], keepdims=0)
    add("LpNormalization", ["mean"], ["vectors"], axis=1, p=2)
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["B", "T"]),
              helper.make_tensor_value_info("segment_ids", TensorProto.INT32, ["B", "T"]),
              helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"]),
              helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["B", "T", 1])]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", hidden])]
    graph = helper.make_graph(nodes, "encoder", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 9
    return model


# ---- ONNX Runtime ----

def make_session(path, threads):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def make_feed(sequences):
    lengths = np.array([len(s) for s in sequences], np.int32)
    ids = np.zeros((len(sequences), lengths.max()), np.int32)
    for row, sequence in zip(ids, sequences):
        row[:len(sequence)] = sequence
    real = np.arange(lengths.max()) < lengths[:, None]
    return {"input_ids": ids, "segment_ids": np.zeros_like(ids), "lengths": lengths,
            "weights": (real / lengths[:, None]).astype(np.float32)[:, :, None]}


class Layout:
    """Sessions that share the batches of one workload: `sessions` of them, each with `threads` threads."""

    def __init__(self, path, sequences, batch, sessions, threads):
        self.name = f"batches of {batch}, " + (f"{sessions} × 1 thread" if sessions > 1 else f"{threads} threads")
        self.sessions = [make_session(path, threads) for _ in range(sessions)]
        ordered = sorted(sequences, key=len)
        self.feeds = [make_feed(ordered[i:i + batch]) for i in range(0, len(ordered), batch)]
        self.n_texts = len(sequences)

    def run(self, seconds):
        """Texts a second, whole passes over the workload."""
        passes, start = 0, time.perf_counter()
        while passes == 0 or time.perf_counter() - start < seconds:
            todo = iter(self.feeds)
            if len(self.sessions) == 1:
                for feed in todo:
                    self.sessions[0].run(None, feed)
            else:
                def work(session):
                    for feed in todo:  # next() of a list iterator is atomic
                        session.run(None, feed)
                with concurrent.futures.ThreadPoolExecutor(len(self.sessions)) as pool:
                    list(pool.map(work, self.sessions))
            passes += 1
        return passes * self.n_texts / (time.perf_counter() - start)


def single_p50_ms(session, sequences):
    times = []
    for feed in [make_feed([s]) for s in sequences]:
        start = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


# ---- attentd ----

def attend_bench(options, path):
    run = subprocess.run([options.attend, "bench", "--model", options.model, "--input", path, "--threads",
                          str(options.threads), "--seconds", str(options.seconds)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"bench: {run.stderr.strip()}")
    return json.loads(run.stdout)


def attend_vectors(options, texts):
    run = subprocess.run([options.attend, "embed", "--model", options.model], capture_output=True, text=True,
                         input=json.dumps({"input": texts}) + "\n")
    if run.returncode:
        sys.exit(f"bench: {run.stderr.strip() or run.stdout.strip()}")
    return np.array([x["embedding"] for x in json.loads(run.stdout)["data"]], np.float32)


# ---- the run ----

def measure(options, path, name, tokenizer, table):
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".jsonl")
    with open(file, encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    sequences = [e.ids for e in tokenizer.encode_batch(texts)]
    tokens = sum(map(len, sequences)) / len(texts)
    one = make_session(path, options.threads)
    got = np.concatenate([one.run(None, make_feed([s]))[0] for s in sequences])
    cosine = float((got * attend_vectors(options, texts)).sum(1).min())
    if cosine < 0.9999:
        sys.exit(f"bench: {name}: the engines' vectors differ, smallest cosine {cosine:.6f}")
    layouts = [Layout(path, sequences, batch, *shape) for batch in BATCHES
               for shape in ((options.threads, 1), (1, options.threads))]
    for layout in layouts:
        layout.run(0)
    best = max(layouts, key=lambda layout: max(layout.run(1), layout.run(1)))
    ours, theirs, theirs_ms = [], [], []
    for turn in range(options.turns):
        print(f"{name}: turn {turn + 1} of {options.turns}", file=sys.stderr)
        ours.append(attend_bench(options, file))
        theirs.append(best.run(options.seconds))
        theirs_ms.append(single_p50_ms(one, sequences))
    ratio = statistics.median(a["texts_per_s"] / b for a, b in zip(ours, theirs))
    texts_s = statistics.median(x["texts_per_s"] for x in ours)
    table.append((name, "attentd " + options.version, f"packed, {options.threads} × 1 thread", texts_s,
                  statistics.median(x["tokens_per_s"] for x in ours), statistics.median(x["gflops"] for x in ours),
                  statistics.median(x["p50_ms"] for x in ours), f"**{ratio:.2f} ×**"))
    flop = statistics.median(x["gflops"] / x["texts_per_s"] for x in ours)
    theirs_s = statistics.median(theirs)
    table.append((name, "ONNX Runtime " + ort.__version__, best.name, theirs_s, theirs_s * tokens, theirs_s * flop,
                  statistics.median(theirs_ms), "1"))
    return cosine, ours[0]["isa"]


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attend", default="build/attend")
    parser.add_argument("--model", default="var/models/minilm")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    options.version = subprocess.run([options.attend, "--version"], capture_output=True, text=True).stdout.split()[1]
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(options.model, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    table, cosines, isa = [], [], ""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "encoder.onnx")
        onnx.save(build_graph(options.model), path)
        for name in WORKLOADS:
            cosine, isa = measure(options, path, name, tokenizer, table)
            cosines.append(cosine)
    print(f"{cpu_name()}, {options.threads} cores; {isa}; f32, medians of {options.turns} turns of "
          f"{options.seconds:g} s; smallest cosine between the engines {min(cosines):.6f}. One text at a time: attentd "
          f"on one core, ONNX Runtime on {options.threads}.\n")
    print("| workload | engine | layout | texts/s | tokens/s | GFLOP/s | one text, p50 ms | ratio |\n"
          "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, engine, layout, texts_s, tokens_s, gflops, ms, ratio in table:
        print(f"| {name} | {engine} | {layout} | {texts_s:.0f} | {tokens_s:.0f} | {gflops:.0f} | {ms:.2f} | {ratio} |")


if __name__ == "__main__":
    main()
