"""One BERT encoder as an ONNX graph, twice: of the operators that ONNX Runtime's own optimiser fuses a BERT into, and of
plain operators for other engines. Both: token ids in, mean-pooled vectors of length 1 out. And as a CTranslate2 model:
token ids in, the last layer's rows out."""
import json
import os

import numpy as np
from onnx import TensorProto, helper, numpy_helper


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


class Graph:
    """Nodes and constants of a checkpoint's graph."""

    def __init__(self, directory):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.weights = read_safetensors(os.path.join(directory, "model.safetensors"))
        self.nodes, self.constants, self.names = [], [], set()

    def constant(self, name, value):
        if name not in self.names:
            self.names.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op, inputs, outputs, **attributes):
        contrib = op in ("EmbedLayerNormalization", "Attention", "SkipLayerNormalization", "BiasGelu")
        self.nodes.append(helper.make_node(op, inputs, outputs, domain="com.microsoft" if contrib else "",
                                           **attributes))
        return outputs[0]

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def transposed(self, name):
        return self.constant(name, self.weights[name].T)

    def pool(self, x):
        """x [B,T,H] and weights [B,T,1] (1 / length for real tokens, else 0) → vectors [B,H]."""
        self.add("Mul", [x, "weights"], ["weighted"])
        self.add("ReduceSum", ["weighted", self.constant("axis", np.array([1], np.int64))], ["mean"], keepdims=0)
        self.add("LpNormalization", ["mean"], ["vectors"], axis=1, p=2)

    def model(self, inputs):
        outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", self.config["hidden_size"]])]
        graph = helper.make_graph(self.nodes, "encoder", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 9
        return model


def build_fused(directory):
    """input_ids, segment_ids [B,T] int32, lengths [B] int32, weights."""
    g = Graph(directory)
    heads, eps = g.config["num_attention_heads"], g.config["layer_norm_eps"]
    # The mask of the embedding operator would have to be made of the lengths; Attention takes the lengths themselves.
    embeddings = [g.weight(f"embeddings.{x}") for x in ("word_embeddings.weight", "position_embeddings.weight",
                                                       "token_type_embeddings.weight", "LayerNorm.weight",
                                                       "LayerNorm.bias")]
    x = g.add("EmbedLayerNormalization", ["input_ids", "segment_ids"] + embeddings, ["x0", "unused"], epsilon=eps)
    for i in range(g.config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        names = [f"{layer}attention.self.{x}" for x in ("query", "key", "value")]
        qkv = g.constant(f"{layer}qkv.weight", np.concatenate([g.weights[n + ".weight"].T for n in names], axis=1))
        bias = g.constant(f"{layer}qkv.bias", np.concatenate([g.weights[n + ".bias"] for n in names]))
        context = g.add("Attention", [x, qkv, bias, "lengths"], [f"context{i}"], num_heads=heads)
        out = g.add("MatMul", [context, g.transposed(f"{layer}attention.output.dense.weight")], [f"out{i}"])
        y = g.add("SkipLayerNormalization",
                  [out, x, g.weight(f"{layer}attention.output.LayerNorm.weight"),
                   g.weight(f"{layer}attention.output.LayerNorm.bias"),
                   g.weight(f"{layer}attention.output.dense.bias")], [f"y{i}"], epsilon=eps)
        inner = g.add("MatMul", [y, g.transposed(f"{layer}intermediate.dense.weight")], [f"inner{i}"])
        inner = g.add("BiasGelu", [inner, g.weight(f"{layer}intermediate.dense.bias")], [f"gelu{i}"])
        out = g.add("MatMul", [inner, g.transposed(f"{layer}output.dense.weight")], [f"down{i}"])
        x = g.add("SkipLayerNormalization",
                  [out, y, g.weight(f"{layer}output.LayerNorm.weight"), g.weight(f"{layer}output.LayerNorm.bias"),
                   g.weight(f"{layer}output.dense.bias")], [f"x{i + 1}"], epsilon=eps)
    g.pool(x)
    return g.model([helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["B", "T"]),
                    helper.make_tensor_value_info("segment_ids", TensorProto.INT32, ["B", "T"]),
                    helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"]),
                    helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["B", "T", 1])])


def build_plain(directory):
    """input_ids, positions [B,T] int32, mask [B,1,1,T] (0, or -10000 for padding), weights; operators of opset 17."""
    g = Graph(directory)
    hidden, heads, eps = g.config["hidden_size"], g.config["num_attention_heads"], g.config["layer_norm_eps"]
    dim = hidden // heads

    def norm(x, name, out):
        return g.add("LayerNormalization", [x, g.weight(name + ".weight"), g.weight(name + ".bias")], [out], axis=-1,
                     epsilon=eps)

    def linear(x, name, out):
        product = g.add("MatMul", [x, g.transposed(name + ".weight")], [out + "_product"])
        return g.add("Add", [product, g.weight(name + ".bias")], [out])

    split = g.constant("split", np.array([0, 0, heads, dim], np.int64))
    merge = g.constant("merge", np.array([0, 0, hidden], np.int64))
    words = g.add("Gather", [g.weight("embeddings.word_embeddings.weight"), "input_ids"], ["words"])
    places = g.add("Gather", [g.weight("embeddings.position_embeddings.weight"), "positions"], ["places"])
    segment = g.constant("segment", g.weights["embeddings.token_type_embeddings.weight"][0])
    both = g.add("Add", [words, places], ["words_and_places"])
    x = norm(g.add("Add", [both, segment], ["embedded"]), "embeddings.LayerNorm", "x0")
    for i in range(g.config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        parts = {}
        for part, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
            flat = linear(x, f"{layer}attention.self.{part}", f"{part}{i}")
            shaped = g.add("Reshape", [flat, split], [f"{part}{i}_heads"])
            parts[part] = g.add("Transpose", [shaped], [f"{part}{i}_turned"], perm=order)
        scores = g.add("MatMul", [parts["query"], parts["key"]], [f"scores{i}"])
        scaled = g.add("Mul", [scores, g.constant("scale", np.array(dim ** -0.5, np.float32))], [f"scaled{i}"])
        masked = g.add("Add", [scaled, "mask"], [f"masked{i}"])
        probs = g.add("Softmax", [masked], [f"probs{i}"], axis=-1)
        context = g.add("MatMul", [probs, parts["value"]], [f"context{i}"])
        turned = g.add("Transpose", [context], [f"context{i}_turned"], perm=(0, 2, 1, 3))
        flat = g.add("Reshape", [turned, merge], [f"context{i}_flat"])
        out = linear(flat, f"{layer}attention.output.dense", f"out{i}")
        y = norm(g.add("Add", [out, x], [f"sum{i}"]), f"{layer}attention.output.LayerNorm", f"y{i}")
        inner = linear(y, f"{layer}intermediate.dense", f"inner{i}")
        erf = g.add("Erf", [g.add("Mul", [inner, g.constant("root", np.array(0.5 ** 0.5, np.float32))],
                                  [f"rooted{i}"])], [f"erf{i}"])
        one = g.add("Add", [erf, g.constant("one", np.array(1, np.float32))], [f"cdf{i}"])
        half = g.add("Mul", [inner, g.constant("half", np.array(0.5, np.float32))], [f"half{i}"])
        gelu = g.add("Mul", [half, one], [f"gelu{i}"])
        down = linear(gelu, f"{layer}output.dense", f"down{i}")
        x = norm(g.add("Add", [down, y], [f"down_sum{i}"]), f"{layer}output.LayerNorm", f"x{i + 1}")
    g.pool(x)
    return g.model([helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["B", "T"]),
                    helper.make_tensor_value_info("positions", TensorProto.INT32, ["B", "T"]),
                    helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["B", 1, 1, "T"]),
                    helper.make_tensor_value_info("weights", TensorProto.FLOAT, ["B", "T", 1])])


def build_spec(directory, tokenizer):
    """As CTranslate2's own converter makes it, less the pooler. Its save() needs a folder."""
    from ctranslate2 import specs
    from ctranslate2.specs import common_spec
    g = Graph(directory)

    def norm(spec, name):
        spec.gamma, spec.beta = g.weights[name + ".weight"], g.weights[name + ".bias"]

    def linear(spec, *names):
        spec.weight = np.concatenate([g.weights[n + ".weight"] for n in names])
        spec.bias = np.concatenate([g.weights[n + ".bias"] for n in names])

    encoder = specs.TransformerEncoderSpec(
        g.config["num_hidden_layers"], g.config["num_attention_heads"], pre_norm=False,
        activation=common_spec.Activation.GELU, layernorm_embedding=True, num_source_embeddings=2,
        embeddings_merge=common_spec.EmbeddingsMerge.ADD)
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = g.weights["embeddings.word_embeddings.weight"]
    encoder.embeddings[1].weight = g.weights["embeddings.token_type_embeddings.weight"]
    encoder.position_encodings.encodings = g.weights["embeddings.position_embeddings.weight"]
    norm(encoder.layernorm_embedding, "embeddings.LayerNorm")
    for i, layer in enumerate(encoder.layer):
        name = f"encoder.layer.{i}."
        attention = layer.self_attention
        linear(attention.linear[0], *[f"{name}attention.self.{x}" for x in ("query", "key", "value")])
        linear(attention.linear[1], name + "attention.output.dense")
        norm(attention.layer_norm, name + "attention.output.LayerNorm")
        linear(layer.ffn.linear_0, name + "intermediate.dense")
        linear(layer.ffn.linear_1, name + "output.dense")
        norm(layer.ffn.layer_norm, name + "output.LayerNorm")
    model = specs.TransformerEncoderModelSpec(encoder)
    vocabulary = tokenizer.get_vocab()
    model.register_vocabulary(sorted(vocabulary, key=vocabulary.get))
    model.config.unk_token = tokenizer.model.unk_token
    model.config.layer_norm_epsilon = g.config["layer_norm_eps"]
    model.validate()
    model.optimize()
    return model
