"""Writes the classifier as an ONNX graph, in float32 and with 8-bit weights.

The graph is built node by node from the weights rather than traced, so it needs no exporter, holds
nothing but standard operators of opset 17, and its inputs and output bear the names that `weir` reads.
"""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from encoder import HEADS, HIDDEN, LAYERS, NORM_EPS

OPSET = 17
# Added to the attention scores of padding: large, yet harmless in half precision.
FAR_BELOW = 1e4


class Graph:
    """Nodes and constants under construction."""

    def __init__(self):
        self.nodes, self.constants, self.names = [], {}, {}

    def constant(self, name, value):
        """A named constant; given twice, it is kept once."""
        self.constants[name] = numpy_helper.from_array(numpy.ascontiguousarray(value), name)
        return name

    def node(self, kind, name, inputs, outputs=1, **attributes):
        """A node named `name`; returns its output's name, or their names."""
        made = [name] if outputs == 1 else [f"{name}/{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, made, name=name, **attributes))
        return made[0] if outputs == 1 else made


def linear(graph, name, x, weight, bias):
    """x W + b, with W in the order that MatMul wants."""
    product = graph.node("MatMul", f"{name}/matmul", [x, graph.constant(f"{name}.weight", weight.T)])
    return graph.node("Add", f"{name}/add", [product, graph.constant(f"{name}.bias", bias)])


def gelu(graph, name, x):
    """The exact form with the error function, which runtimes know as one pattern."""
    root = graph.constant("sqrt2", numpy.float32(numpy.sqrt(2.0)))
    one = graph.constant("one", numpy.float32(1.0))
    half = graph.constant("half", numpy.float32(0.5))
    inner = graph.node("Erf", f"{name}/erf", [graph.node("Div", f"{name}/div", [x, root])])
    whole = graph.node("Mul", f"{name}/mul", [x, graph.node("Add", f"{name}/plus", [inner, one])])
    return graph.node("Mul", f"{name}/half", [whole, half])


def norm(graph, name, x, weights):
    """Layer normalisation with its learnt scale and shift."""
    scale = graph.constant(f"{name}.scale", weights[f"{name}.weight"])
    shift = graph.constant(f"{name}.shift", weights[f"{name}.bias"])
    return graph.node("LayerNormalization", name, [x, scale, shift], axis=-1, epsilon=NORM_EPS)


def layer(graph, name, x, far, weights):
    """One transformer layer over x: [batch, length, HIDDEN]."""
    size = HIDDEN // HEADS
    split = graph.constant("heads", numpy.array([0, 0, HEADS, size], numpy.int64))
    joined = graph.constant("joined", numpy.array([0, 0, HIDDEN], numpy.int64))
    parts = {}
    weight = numpy.split(weights[f"{name}.qkv.weight"], 3)
    bias = numpy.split(weights[f"{name}.qkv.bias"], 3)
    for at, part in enumerate("qkv"):
        flat = linear(graph, f"{name}.{part}", x, weight[at], bias[at])
        heads = graph.node("Reshape", f"{name}.{part}/heads", [flat, split])
        turned = [0, 2, 3, 1] if part == "k" else [0, 2, 1, 3]
        parts[part] = graph.node("Transpose", f"{name}.{part}/turned", [heads], perm=turned)
    scores = graph.node("MatMul", f"{name}/scores", [parts["q"], parts["k"]])
    root = graph.constant("root", numpy.float32(numpy.sqrt(size)))
    scaled = graph.node("Div", f"{name}/scaled", [scores, root])
    seen = graph.node("Add", f"{name}/masked", [scaled, far])
    share = graph.node("Softmax", f"{name}/share", [seen], axis=-1)
    mixed = graph.node("MatMul", f"{name}/mixed", [share, parts["v"]])
    turned = graph.node("Transpose", f"{name}/back", [mixed], perm=[0, 2, 1, 3])
    flat = graph.node("Reshape", f"{name}/flat", [turned, joined])
    mix = linear(graph, f"{name}.mix", flat, weights[f"{name}.mix.weight"], weights[f"{name}.mix.bias"])
    x = norm(graph, f"{name}.mix_norm", graph.node("Add", f"{name}/sum1", [x, mix]), weights)
    up = linear(graph, f"{name}.up", x, weights[f"{name}.up.weight"], weights[f"{name}.up.bias"])
    up = gelu(graph, f"{name}/gelu", up)
    down = linear(graph, f"{name}.down", up, weights[f"{name}.down.weight"], weights[f"{name}.down.bias"])
    return norm(graph, f"{name}.down_norm", graph.node("Add", f"{name}/sum2", [x, down]), weights)


def build(model):
    """The ONNX model: input_ids, attention_mask, token_type_ids -> logits."""
    weights = {key: value.detach().float().numpy() for key, value in model.state_dict().items()}
    graph = Graph()
    two = graph.constant("second_axis", numpy.array([1], numpy.int64))
    first = graph.constant("first_axis", numpy.array([0], numpy.int64))
    length = graph.node("Shape", "length", ["input_ids"], start=1, end=2)
    words = graph.node("Gather", "words", [graph.constant("words.weight", weights["words.weight"]), "input_ids"])
    at = graph.node(
        "Slice", "positions", [graph.constant("positions.weight", weights["positions.weight"]), first, length, first]
    )
    types = graph.node("Gather", "types", [graph.constant("types.weight", weights["types.weight"]), "token_type_ids"])
    x = graph.node("Add", "embed/1", [graph.node("Add", "embed/0", [words, types]), at])
    x = norm(graph, "embed_norm", x, weights)
    mask = graph.node("Cast", "mask", ["attention_mask"], to=TensorProto.FLOAT)
    one = graph.constant("one", numpy.float32(1.0))
    gone = graph.node("Sub", "gone", [one, mask])
    below = graph.constant("below", numpy.float32(-FAR_BELOW))
    far_flat = graph.node("Mul", "far_flat", [gone, below])
    axes = graph.constant("axes12", numpy.array([1, 2], numpy.int64))
    far = graph.node("Unsqueeze", "far", [far_flat, axes])
    for number in range(LAYERS):
        x = layer(graph, f"layers.{number}", x, far, weights)
    last = graph.constant("axis2", numpy.array([2], numpy.int64))
    kept = graph.node("Unsqueeze", "kept", [mask, last])
    total = graph.node("ReduceSum", "total", [graph.node("Mul", "only", [x, kept]), two], keepdims=0)
    count = graph.node("Max", "count", [graph.node("ReduceSum", "counted", [kept, two], keepdims=0), one])
    mean = graph.node("Div", "mean", [total, count])
    pushed = graph.node("Add", "pushed", [x, graph.node("Unsqueeze", "far_last", [far_flat, last])])
    top = graph.node("ReduceMax", "top", [pushed], axes=[1], keepdims=0)
    pooled = graph.node("Concat", "pooled", [mean, top], axis=-1)
    hidden = linear(graph, "head_in", pooled, weights["head_in.weight"], weights["head_in.bias"])
    hidden = gelu(graph, "head/gelu", hidden)
    out = linear(graph, "head_out", hidden, weights["head_out.weight"], weights["head_out.bias"])
    graph.nodes.append(helper.make_node("Identity", [out], ["logits"], name="logits"))
    info = helper.make_tensor_value_info
    made = helper.make_graph(
        graph.nodes,
        "weir-injection",
        [
            info(name, TensorProto.INT64, ["batch", "length"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [info("logits", TensorProto.FLOAT, ["batch", 2])],
        list(graph.constants.values()),
    )
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="weir")
    whole.ir_version = 8
    onnx.checker.check_model(whole)
    return whole


def quantize(source, target):
    """Weights as 8-bit integers, a scale for each channel; the head stays in float32.

    Seven bits are used of the eight: without VNNI instructions the sums of the full range overflow.
    """
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gather"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=["head_in/matmul", "head_out/matmul", "types"],
    )
