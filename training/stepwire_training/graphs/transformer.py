"""A small transformer encoder over whole padded texts, as nodes.

N rows, T padded positions, E values of a token, G heads, D = E / G.
"""

import math
from collections.abc import Sequence

import numpy as np
import onnx
from torch import Tensor

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.stacks import positions
from stepwire_training.graphs.texts import Texts
from stepwire_training.models.transformer import Layer, Transformer, rates

FAR_BELOW = float(np.finfo(np.float32).min)  # the score of a place that holds no token


def by_transformer(graph: GraphBuilder, model: Transformer, given: Texts) -> None:
    """The nodes of a model, and its logits as the output."""
    within = texts.inside(graph, given)  # [N, T]
    x = looked_around(graph, model.embedding.weight, model.parts(), [given.tokens, within])
    x = texts.normalised(graph, "last", x, model.last)
    counts = graph.op("Unsqueeze", given.lengths, graph.integers("counts_axis", 1))  # [N, 1]
    counts = graph.node("Cast", [counts], to=onnx.TensorProto.FLOAT)
    mean = graph.op("Div", texts.total(graph, x, within), counts)  # [N, E]
    texts.score(graph, mean, model.output)


def looked_around(
    graph: GraphBuilder, table: Tensor, layers: Sequence[Layer], given: Sequence[str]
) -> str:
    """What tokens [N, T] are behind all layers, given which of them are text [N, T]: [N, T, E]."""
    tokens, within = given
    x = texts.embedded(graph, table, tokens)  # [N, T, E]
    size = table.shape[1]
    x = graph.op("Mul", x, graph.number(math.sqrt(size)))
    x = graph.op("Add", x, _places(graph, tokens, size))
    seen = graph.op("Unsqueeze", within, graph.integers("seen_axes", 1, 2))  # [N, 1, 1, T]
    for index, layer in enumerate(layers):
        x = _layer(graph, f"layer{index}", layer, [x, seen])
    return x


def _places(graph: GraphBuilder, tokens: str, size: int) -> str:
    """Sines and cosines that tell a position: [T, E]."""
    position = graph.node("Cast", [positions(graph, tokens, axis=1)], to=onnx.TensorProto.FLOAT)
    column = graph.op("Unsqueeze", position, graph.integers("rates_axis", 1))
    angles = graph.op("Mul", column, graph.weight("rates", rates(size)))  # [T, E / 2]
    return graph.node("Concat", [graph.op("Sin", angles), graph.op("Cos", angles)], axis=1)


def _layer(graph: GraphBuilder, name: str, layer: Layer, inputs: list[str]) -> str:
    """X [N, T, E] and which positions are text [N, 1, 1, T] to [N, T, E]."""
    x, seen = inputs
    calm = texts.normalised(graph, f"{name}_before_looking", x, layer.before_looking)
    return think(graph, name, layer, graph.op("Add", x, _look(graph, name, layer, [calm, seen])))


def think(graph: GraphBuilder, name: str, layer: Layer, x: str) -> str:
    """What each token [*, E] becomes by itself."""
    calm = texts.normalised(graph, f"{name}_before_thinking", x, layer.before_thinking)
    wide = graph.op("Relu", texts.linear(graph, f"{name}_widen", calm, layer.widen))
    return graph.op("Add", x, texts.linear(graph, f"{name}_narrow", wide, layer.narrow))


def _look(graph: GraphBuilder, name: str, layer: Layer, inputs: list[str]) -> str:
    """Attention of every position to those of the text: [N, T, E]."""
    x, seen = inputs
    size = layer.told.in_features
    each = size // layer.heads
    asked = texts.linear(graph, f"{name}_asks", x, layer.asks)  # [N, T, 3E]
    by_head = graph.op(
        "Reshape", asked, graph.integers(f"{name}_heads", 0, 0, 3 * layer.heads, each)
    )
    parts = graph.nodes("Split", [by_head], 3, axis=2, num_outputs=3)  # [N, T, G, D] each
    queries, keys, values = (
        graph.node("Transpose", [part], perm=list(order))
        for part, order in zip(parts, ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)), strict=True)
    )
    scores = graph.op("MatMul", queries, keys)  # [N, G, T, T]
    scores = graph.op("Mul", scores, graph.number(1.0 / math.sqrt(each)))
    scores = graph.op("Where", seen, scores, graph.number(FAR_BELOW))
    shares = graph.node("Softmax", [scores], axis=-1)
    found = graph.op("MatMul", shares, values)  # [N, G, T, D]
    by_place = graph.node("Transpose", [found], perm=[0, 2, 1, 3])
    joined = graph.op("Reshape", by_place, graph.integers(f"{name}_joined", 0, 0, size))
    return texts.linear(graph, f"{name}_told", joined, layer.told)
