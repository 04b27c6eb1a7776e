"""What graphs of whole padded texts have in common, as nodes.

N rows, T padded positions, E values of an embedding, F features of a text, C labels.
"""

from typing import NamedTuple

import numpy as np
import onnx
from torch import Tensor, nn

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.stacks import positions


class Texts(NamedTuple):
    """The inputs of such a graph."""

    tokens: str  # int64 [N, T]
    lengths: str  # int64 [N]


def begin(graph: GraphBuilder) -> Texts:
    """Declares the inputs."""
    tokens = graph.input("tokens", np.int64, ["N", "T"])
    return Texts(tokens, graph.input("lengths", np.int64, ["N"]))


def by_time(graph: GraphBuilder, texts: Texts) -> str:
    """The tokens as ONNX's recurrent operators read them: [T, N]."""
    return graph.node("Transpose", [texts.tokens], perm=[1, 0])


def embedded(graph: GraphBuilder, table: Tensor, tokens: str) -> str:
    """The rows of a table [V, E] that belong to tokens: [*, E]."""
    return graph.op("Gather", graph.weight("embedding", table), tokens)


def inside(graph: GraphBuilder, texts: Texts) -> str:
    """Which positions belong to a row's text: bool [N, T]."""
    position = positions(graph, texts.tokens, axis=1)  # [T]
    ends = graph.op("Unsqueeze", texts.lengths, graph.integers("lengths_axis", 1))  # [N, 1]
    return graph.op("Less", position, ends)


def ends(graph: GraphBuilder, texts: Texts) -> str:
    """The lengths as ONNX's recurrent operators want them: int32 [N]."""
    return graph.node("Cast", [texts.lengths], to=onnx.TensorProto.INT32)


def total(graph: GraphBuilder, x: str, within: str) -> str:
    """The sum over each text: x [N, T, E] and bool [N, T] to [N, E].

    A product of matrices, each row's of its own: ONNX Runtime's ReduceSum adds up in another
    order when a row is alone.
    """
    ones = graph.node("Cast", [within], to=onnx.TensorProto.FLOAT)
    axis = graph.integers("total_axis", 1)
    summed = graph.op("MatMul", graph.op("Unsqueeze", ones, axis), x)  # [N, 1, E]
    return graph.op("Squeeze", summed, axis)


def linear(graph: GraphBuilder, name: str, x: str, layer: nn.Linear) -> str:
    """X [*, I] times a weight and plus a bias: [*, O]."""
    product = graph.op("MatMul", x, graph.weight(name, layer.weight.T))
    return graph.op("Add", product, graph.weight(f"{name}_bias", layer.bias))


def score(graph: GraphBuilder, features: str, layer: nn.Linear) -> None:
    """Features of texts [N, F] to the output of the graph, logits [N, C]."""
    logits = linear(graph, "output", features, layer)
    graph.output("logits", logits, ["N", layer.out_features])


def normalised(graph: GraphBuilder, name: str, x: str, layer: nn.LayerNorm) -> str:
    """X [*, E] with mean and deviation of each row's own, by a layer's scale and bias."""
    scale = graph.weight(f"{name}_scale", layer.weight)
    shift = graph.weight(f"{name}_shift", layer.bias)
    return graph.node("LayerNormalization", [x, scale, shift], axis=-1, epsilon=layer.eps)
