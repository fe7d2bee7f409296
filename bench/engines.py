#!/usr/bin/env python3
"""attentd against the engines that are installed, on one BERT encoder, in one run; prints a Markdown table. Called by
bench/run.

All read the same token ids of the same texts, and texts are tokenised before the clock starts. The engines take turns,
so that a machine whose clock moves moves all. attentd: `attend bench`, texts in the order they come. The others: texts
sorted by length, longest first; every batch size and thread layout below is tried on a quarter of the texts, the best
three once more and for longer, and the fastest of each workload takes the turns. One text runs on all threads or on
one, whichever is faster.
ONNX Runtime's graph is made of the operators that its own optimiser fuses a BERT into: that is its best; its int8 is
dynamic quantisation. OpenVINO's int8 is NNCF's quantisation for transformers, calibrated on the texts themselves.
CTranslate2 quantises weights by row and activations as they come; it uses AVX-512 only when told to; its bf16 is left
out on a CPU for which it offers none.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import tokenizers

import graphs

try:
    import onnxruntime as ort
except ImportError:
    ort = None
try:
    import openvino as ov
except ImportError:
    ov = None
try:
    import nncf
except ImportError:
    nncf = None
try:
    import ctranslate2 as ct2
except ImportError:
    ct2 = None

WORKLOADS = ("short", "news")
BATCHES = (1, 4, 16, 32)
DTYPES = ("f32", "bf16", "int8")


def make_feed(sequences):
    lengths = np.array([len(s) for s in sequences], np.int32)
    width = int(lengths.max())
    ids = np.zeros((len(sequences), width), np.int32)
    for row, sequence in zip(ids, sequences):
        row[:len(sequence)] = sequence
    real = np.arange(width) < lengths[:, None]
    return {"input_ids": ids, "segment_ids": np.zeros_like(ids), "lengths": lengths,
            "positions": np.broadcast_to(np.arange(width, dtype=np.int32), ids.shape).copy(),
            "mask": np.where(real, 0, -10000).astype(np.float32)[:, None, None, :],
            "weights": (real / lengths[:, None]).astype(np.float32)[:, :, None]}


class OnnxRuntime:
    def __init__(self, folder, dtype):
        self.name, self.dtype = "ONNX Runtime " + ort.__version__, dtype
        self.path = os.path.join(folder, "fused.onnx")
        if dtype == "int8":
            from onnxruntime.quantization import QuantType, quantize_dynamic
            path = os.path.join(folder, "int8.onnx")
            if not os.path.exists(path):  # the first workload made it
                quantize_dynamic(self.path, path, weight_type=QuantType.QInt8, per_channel=True,
                                 extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
            self.path = path

    def session(self, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = ort.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        names = [x.name for x in session.get_inputs()]
        return lambda feed: session.run(None, {name: feed[name] for name in names})[0]


class OpenVino:
    def __init__(self, folder, dtype, sequences):
        self.name, self.dtype = "OpenVINO " + ov.__version__.split("-")[0], dtype
        self.core = ov.Core()
        self.model = self.core.read_model(os.path.join(folder, "plain.onnx"))
        self.names = [x.get_any_name() for x in self.model.inputs]
        if dtype == "int8":
            feeds = [{name: feed[name] for name in self.names} for feed in (make_feed([s]) for s in sequences[:300])]
            with contextlib.redirect_stdout(sys.stderr):  # its progress bars
                self.model = nncf.quantize(self.model, nncf.Dataset(feeds), model_type=nncf.ModelType.TRANSFORMER,
                                           subset_size=300)

    def session(self, threads):
        # Pinned sessions of one thread would share a core.
        config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": threads > 1,
                  "INFERENCE_PRECISION_HINT": "bf16" if self.dtype == "bf16" else "f32"}
        compiled = self.core.compile_model(self.model, "CPU", config)
        request = compiled.create_infer_request()
        return lambda feed: request.infer({name: feed[name] for name in self.names})[0]


class CTranslate2:
    TYPES = {"f32": "float32", "bf16": "bfloat16", "int8": "int8"}

    def __init__(self, folder, dtype):
        self.name, self.dtype, self.folder = "CTranslate2 " + ct2.__version__, dtype, folder

    def session(self, threads):
        encoder = ct2.Encoder(self.folder, device="cpu", compute_type=self.TYPES[self.dtype], intra_threads=threads)

        def run(feed):
            ids, lengths = (ct2.StorageView.from_array(feed[name]) for name in ("input_ids", "lengths"))
            hidden = encoder.forward_batch(ids, lengths).last_hidden_state
            if self.dtype == "bf16":
                hidden = hidden.to(ct2.DataType.float32)
            mean = np.einsum("bth,btx->bh", np.asarray(hidden), feed["weights"])
            return mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return run


class Layout:
    """Sessions that share the batches of one workload, each with `threads` threads."""

    def __init__(self, sessions, threads, ordered, batch):
        shape = f"{len(sessions)} × 1 thread" if len(sessions) > 1 else f"{threads} threads"
        self.name, self.sessions = f"batches of {batch}, {shape}", sessions
        self.feeds = [make_feed(ordered[i:i + batch]) for i in range(0, len(ordered), batch)]
        # Of four of the largest batches the second, in smaller ones where this layout has them: the same texts for all.
        self.sample = [feed for i, feed in enumerate(self.feeds) if i * batch // max(BATCHES) % 4 == 1]

    def run(self, feeds, seconds):
        """Texts a second, whole passes over the batches."""
        passes, start = 0, time.perf_counter()
        while passes == 0 or time.perf_counter() - start < seconds:
            todo = iter(feeds)

            def work(session):
                for feed in todo:  # next() of a list iterator is atomic
                    session(feed)
            if len(self.sessions) == 1:
                work(self.sessions[0])
            else:
                with concurrent.futures.ThreadPoolExecutor(len(self.sessions)) as pool:
                    list(pool.map(work, self.sessions))
            passes += 1
        return passes * sum(len(feed["lengths"]) for feed in feeds) / (time.perf_counter() - start)


def single_p50_ms(session, sequences):
    times = []
    for feed in [make_feed([s]) for s in sequences]:
        start = time.perf_counter()
        session(feed)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def attend_bench(options, path, dtype):
    run = subprocess.run([options.attend, "bench", "--model", options.model, "--input", path, "--dtype", dtype, "--threads",
                          str(options.threads), "--seconds", str(options.seconds)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"bench: {run.stderr.strip()}")
    return json.loads(run.stdout)


def attend_vectors(options, texts, dtype):
    run = subprocess.run([options.attend, "embed", "--model", options.model, "--dtype", dtype], capture_output=True,
                         text=True, input=json.dumps({"input": texts}) + "\n")
    if run.returncode:
        sys.exit(f"bench: {run.stderr.strip() or run.stdout.strip()}")
    return np.array([x["embedding"] for x in json.loads(run.stdout)["data"]], np.float32)


class Subject:
    """One engine at one precision on one workload."""

    def __init__(self, options, engine, sequences, exact):
        self.name, self.dtype = engine.name, engine.dtype
        self.sequences = sequences
        ordered = sorted(sequences, key=len, reverse=True)
        several, one = [engine.session(1) for _ in range(options.threads)], engine.session(options.threads)
        self.one = min((one, several[0]),
                       key=lambda session: min(single_p50_ms(session, ordered[::16]) for _ in range(2)))
        got = np.concatenate([self.one(make_feed([s])) for s in sequences])
        self.cosine = float((got * exact).sum(1).min())
        layouts = [Layout(sessions, threads, ordered, batch) for batch in BATCHES
                   for sessions, threads in ((several, 1), ([one], options.threads))]
        for layout in layouts:
            layout.run(layout.sample, 0)
        layouts.sort(key=lambda layout: layout.run(layout.sample, 0), reverse=True)
        self.best = max(layouts[:3], key=lambda layout: layout.run(layout.sample, 0.7))
        self.best.run(self.best.feeds, 0)
        self.layout, self.texts_s, self.ms = self.best.name, [], []

    def turn(self, options):
        self.texts_s.append(self.best.run(self.best.feeds, options.seconds))
        self.ms.append(single_p50_ms(self.one, self.sequences))


class Ours:
    def __init__(self, options, dtype, file, texts, exact):
        self.name, self.dtype, self.file = "attentd " + options.version, dtype, file
        self.layout, self.texts_s, self.ms = f"packed, {options.threads} workers", [], []
        self.cosine = float((attend_vectors(options, texts, dtype) * exact).sum(1).min())

    def turn(self, options):
        row = attend_bench(options, self.file, self.dtype)
        self.texts_s.append(row["texts_per_s"])
        self.ms.append(row["p50_ms"])
        self.isa = row["isa"]


def engines_of(folder, sequences):
    for dtype in DTYPES:
        if ort and dtype != "bf16":
            yield OnnxRuntime(folder, dtype)
        if ov and (dtype != "int8" or nncf):
            yield OpenVino(folder, dtype, sequences)
        if ct2 and CTranslate2.TYPES[dtype] in ct2.get_supported_compute_types("cpu"):
            yield CTranslate2(folder, dtype)


def measure(options, folder, name, tokenizer):
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".jsonl")
    with open(file, encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    sequences = [e.ids for e in tokenizer.encode_batch(texts)]
    exact = attend_vectors(options, texts, "f32")
    subjects = [Ours(options, dtype, file, texts, exact) for dtype in DTYPES]
    subjects += [Subject(options, engine, sequences, exact) for engine in engines_of(folder, sequences)]
    for turn in range(options.turns):
        print(f"{name}: turn {turn + 1} of {options.turns}", file=sys.stderr)
        for subject in subjects:
            subject.turn(options)
    for dtype in DTYPES:
        same = [s for s in subjects if s.dtype == dtype]
        theirs = [s for s in same if not isinstance(s, Ours)]
        best = max((statistics.median(s.texts_s) for s in theirs), default=None)
        best_ms = min((statistics.median(s.ms) for s in theirs), default=None)
        for s in same:
            texts_s, ms = statistics.median(s.texts_s), statistics.median(s.ms)
            ratio = f"**{texts_s / best:.2f} ×**, {best_ms / ms:.2f} ×" if isinstance(s, Ours) and best else ""
            print(f"| {name} | {dtype} | {s.name} | {s.layout} | {texts_s:.0f} | {ms:.2f} | {s.cosine:.5f} | {ratio} |")
    return subjects[0].isa


def cpu(field):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith(field)), "unknown")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attend", default="build/attend")
    parser.add_argument("--model", default="var/models/minilm")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    options.version = subprocess.run([options.attend, "--version"], capture_output=True, text=True).stdout.split()[1]
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(options.model, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if "avx512vl" in cpu("flags").split():
        os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")
    print(f"{cpu('model name')}, {options.threads} cores, medians of {options.turns} turns of {options.seconds:g} s. The ratios: "
          "texts/s against the best other engine of the same precision, and one text's p50 against the best other.\n")
    print("| workload | dtype | engine | layout | texts/s | one text, p50 ms | smallest cosine to f32 | ratios |\n"
          "| --- | --- | --- | --- | ---: | ---: | ---: | --- |")
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(graphs.build_fused(options.model), os.path.join(folder, "fused.onnx"))
        onnx.save(graphs.build_plain(options.model), os.path.join(folder, "plain.onnx"))
        if ct2:
            graphs.build_spec(options.model, tokenizer).save(folder)
        for name in WORKLOADS:
            measure(options, folder, name, tokenizer)


if __name__ == "__main__":
    main()
