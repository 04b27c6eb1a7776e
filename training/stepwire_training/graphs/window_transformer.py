"""One step of a causal transformer with a window, as a graph.

N rows, E values of a token, G heads, D = E / G, W the window, V tokens.
"""

import math

import numpy as np

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.transformer import FAR_BELOW, think
from stepwire_training.models.window_transformer import (
    WindowLayer,
    WindowSizes,
    WindowTransformer,
    state_names,
)


def window_graph(model: WindowTransformer) -> bytes:
    """The file step.onnx: a token [N] and states to logits [N, V] and the states that follow.

    States are keys and values of each layer, [N, G, W - 1, D], and how many of these places hold
    a token, [N, 1].
    """
    graph = GraphBuilder("step")
    config = model.config
    shape = shape_of(config)
    token = graph.input("token", np.int64, ["N"])
    *names, counted = state_names(config.layers)
    carried = [graph.input(name, np.float32, ["N", *shape]) for name in names]
    held = graph.input(counted, np.int64, ["N", 1])
    empty = empty_places(graph, held, config.window)
    x = graph.op("Gather", graph.weight("embedding", model.embedding.weight), token)  # [N, E]
    following: list[str] = []
    for index, layer in enumerate(model.parts()):
        seen = carried[2 * index : 2 * index + 2]
        x, *after = _layer(graph, f"layer{index}", layer, [x, empty, *seen])
        following += after
    x = texts.normalised(graph, "last", x, model.last)
    logits = texts.linear(graph, "output", x, model.output)
    graph.output("logits", logits, ["N", model.output.out_features])
    for name, part in zip(names, following, strict=True):
        graph.output(f"{name}_next", part, ["N", *shape])
    graph.output(f"{counted}_next", counted_on(graph, held, config.window), ["N", 1], np.int64)
    return graph.build()


def shape_of(config: WindowSizes) -> tuple[int, int, int]:
    """Of the keys, and of the values, that a layer carries on: G, W - 1, D."""
    return config.heads, config.window - 1, config.embedding // config.heads


def counted_on(graph: GraphBuilder, held: str, window: int) -> str:
    """How many places hold a token after one more: int64 [N, 1]."""
    more = graph.op("Add", held, graph.whole_number(1))
    return graph.op("Min", more, graph.whole_number(window - 1))


def empty_places(graph: GraphBuilder, held: str, window: int) -> str:
    """Which places of the window hold no token: bool [N, 1, W]."""
    first = graph.op("Sub", graph.whole_number(window - 1), held)  # [N, 1]
    empty = graph.op("Less", graph.weight("numbers", np.arange(window)), first)  # [N, W]
    return graph.op("Unsqueeze", empty, graph.integers("head_axis", 1))


def _layer(graph: GraphBuilder, name: str, layer: WindowLayer, inputs: list[str]) -> list[str]:
    """X [N, E], which places are empty, keys and values, to the next x, keys and values."""
    x, *after = look_back(graph, name, layer, inputs)
    return [think(graph, name, layer, x), *after]


def look_back(graph: GraphBuilder, name: str, layer: WindowLayer, inputs: list[str]) -> list[str]:
    """The first half of it: what the window adds to each row."""
    x, *rest = inputs
    calm = texts.normalised(graph, f"{name}_before_looking", x, layer.before_looking)
    found, *after = _look(graph, name, layer, [calm, *rest])
    return [graph.op("Add", x, found), *after]


def _look(graph: GraphBuilder, name: str, layer: WindowLayer, inputs: list[str]) -> list[str]:
    """Attention of the newest token to the window: [N, E], and the next keys and values."""
    x, empty, keys, values = inputs
    heads, window, each = layer.heads, layer.window, layer.places.shape[2]
    asked = texts.linear(graph, f"{name}_asks", x, layer.asks)  # [N, 3E]
    by_head = graph.op("Reshape", asked, graph.integers(f"{name}_heads", 0, 3 * heads, 1, each))
    query, key, value = graph.nodes("Split", [by_head], 3, axis=1, num_outputs=3)  # [N, G, 1, D]
    keys = graph.node("Concat", [keys, key], axis=2)  # [N, G, W, D]
    values = graph.node("Concat", [values, value], axis=2)
    query = graph.op("Mul", query, graph.number(1.0 / math.sqrt(each)))
    column = graph.op("Reshape", query, graph.integers(f"{name}_column", 0, heads, each, 1))
    placed = graph.op("Add", keys, graph.weight(f"{name}_places", layer.places))
    scores = graph.op("MatMul", placed, column)  # [N, G, W, 1]
    flat = graph.op("Reshape", scores, graph.integers(f"{name}_flat", 0, heads, window))
    scores = graph.op("Add", flat, graph.weight(f"{name}_lean", layer.lean))
    scores = graph.op("Where", empty, graph.number(FAR_BELOW), scores)
    shares = graph.node("Softmax", [scores], axis=-1)
    row = graph.op("Reshape", shares, graph.integers(f"{name}_row", 0, heads, 1, window))
    found = graph.op("MatMul", row, values)  # [N, G, 1, D]
    joined = graph.op("Reshape", found, graph.integers(f"{name}_joined", 0, heads * each))
    newer = [graph.integers(f"{name}_newer_{n}", at) for n, at in enumerate((1, window, 2))]
    after = [graph.op("Slice", part, *newer) for part in (keys, values)]
    return [texts.linear(graph, f"{name}_told", joined, layer.told), *after]
