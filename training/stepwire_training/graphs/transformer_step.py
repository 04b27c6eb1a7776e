"""One step of a transformer that writes about a source, as a graph.

R rows in J groups that share a source, K places in a group, S padded positions of the sources,
E values of a token, G heads, D = E / G, W the window, V tokens. Queries are brought to the
sources (see attend): nothing of size [R, S, E] is ever copied.
"""

import math

import numpy as np

from stepwire_training.graphs import texts
from stepwire_training.graphs.attend import by_row
from stepwire_training.graphs.builder import GraphBuilder, Shape
from stepwire_training.graphs.described import carried, writing
from stepwire_training.graphs.stacks import positions
from stepwire_training.graphs.transformer import FAR_BELOW, think
from stepwire_training.graphs.transformer_encode import contexts_of
from stepwire_training.graphs.window_transformer import (
    counted_on,
    empty_places,
    look_back,
    shape_of,
)
from stepwire_training.models.transformer_translator import (
    AskingLayer,
    TransformerTranslator,
)
from stepwire_training.models.window_transformer import state_names
from stepwire_zoo.manifest import Graph


def transformer_step_graph(model: TransformerTranslator) -> bytes:
    """The file step.onnx.

    Takes token [R]; rows [J, K], the row that stands in each place; places [R], the place of each
    row; lengths [J], keys and values [J, S, E] of the sources; and as states those of windows,
    [R, G, W - 1, D] and [R, 1]. Gives logits [R, V], attention [R, S] and the next states.
    """
    graph = GraphBuilder("step")
    config = model.config
    shape: Shape = ("R", *shape_of(config))
    token = graph.input("token", np.int64, ["R"])
    rows = graph.input("rows", np.int64, ["J", "K"])
    places = graph.input("places", np.int64, ["R"])
    lengths = graph.input("lengths", np.int64, ["J"])
    contexts = [
        graph.input(context.name, np.float32, ["J", "S", config.embedding])
        for context in contexts_of(model)
    ]
    *names, counted = state_names(config.layers)
    windows = [graph.input(name, np.float32, shape) for name in names]
    held = graph.input(counted, np.int64, ["R", 1])
    empty = empty_places(graph, held, config.window)
    unseen = _unseen(graph, contexts[0], lengths)
    embedding = graph.weight("embedding", model.embedding.weight)
    x = graph.op("Gather", embedding, token)  # [R, E]
    x = graph.op("Mul", x, graph.number(math.sqrt(config.embedding)))
    following: list[str] = []
    shares = x
    for index, layer in enumerate(model.writing()):
        name, mine = f"layer{index}", slice(2 * index, 2 * index + 2)
        x, *after = look_back(graph, name, layer, [x, empty, *windows[mine]])
        found, shares = _ask(graph, name, layer, [x, rows, places, unseen, *contexts[mine]])
        x = think(graph, name, layer, graph.op("Add", x, found))
        following += after
    x = texts.normalised(graph, "last", x, model.last)
    bias = graph.weight("output_bias", model.output.bias)
    logits = graph.node("Gemm", [x, embedding, bias], transB=1)
    graph.output("logits", logits, ["R", model.output.out_features])
    attention = by_row(graph, "attention", _mean(graph, shares, config.heads), places)
    graph.output("attention", attention, ["R", "S"])
    for name, part in zip(names, following, strict=True):
        graph.output(f"{name}_next", part, shape)
    graph.output(f"{counted}_next", counted_on(graph, held, config.window), ["R", 1], np.int64)
    return graph.build()


def _unseen(graph: GraphBuilder, context: str, lengths: str) -> str:
    """Which positions of [J, S, *] are behind a source: bool [J, 1, 1, S]."""
    position = positions(graph, context, axis=1)  # [S]
    ends = graph.op("Unsqueeze", lengths, graph.integers("around_axes", 1, 2, 3))
    return graph.op("GreaterOrEqual", position, ends)


def _ask(graph: GraphBuilder, name: str, layer: AskingLayer, inputs: list[str]) -> tuple[str, str]:
    """What rows [R, E] find of their sources: [R, E], and how they weigh them: [J, G, K, S]."""
    x, rows, places, unseen, keys, values = inputs
    size = layer.told_source.in_features
    each = size // layer.heads
    calm = texts.normalised(graph, f"{name}_before_asking", x, layer.before_asking)
    asked = texts.linear(graph, f"{name}_asks_source", calm, layer.asks_source)
    grouped = graph.op("Gather", asked, rows)  # [J, K, E]
    by_head = graph.integers(f"{name}_by_head", 0, 0, layer.heads, each)
    queries, keys, values = (
        graph.node("Transpose", [graph.op("Reshape", part, by_head)], perm=list(order))
        for part, order in (
            (grouped, (0, 2, 1, 3)),  # [J, G, K, D]
            (keys, (0, 2, 3, 1)),  # [J, G, D, S]
            (values, (0, 2, 1, 3)),  # [J, G, S, D]
        )
    )
    scores = graph.op("MatMul", queries, keys)  # [J, G, K, S]
    scores = graph.op("Mul", scores, graph.number(1.0 / math.sqrt(each)))
    scores = graph.op("Where", unseen, graph.number(FAR_BELOW), scores)
    shares = graph.node("Softmax", [scores], axis=-1)
    found = graph.op("MatMul", shares, values)  # [J, G, K, D]
    by_place = graph.node("Transpose", [found], perm=[0, 2, 1, 3])
    joined = graph.op("Reshape", by_place, graph.integers(f"{name}_joined_heads", 0, 0, size))
    told = by_row(graph, f"{name}_found", joined, places)  # [R, E]
    return texts.linear(graph, f"{name}_told_source", told, layer.told_source), shares


def _mean(graph: GraphBuilder, shares: str, heads: int) -> str:
    """Over the heads of [J, G, K, S]: [J, K, S]."""
    first, *others = graph.nodes("Split", [shares], heads, axis=1, num_outputs=heads)
    total = first
    for other in others:
        total = graph.op("Add", total, other)  # in this order, whatever the other axes are
    mean = graph.op("Mul", total, graph.number(1.0 / heads))
    return graph.op("Squeeze", mean, graph.integers("head_mean_axis", 1))


def describe_transformer_step(model: TransformerTranslator) -> Graph:
    """What the manifest says of it."""
    config = model.config
    *names, counted = state_names(config.layers)
    windows = [carried(name, shape_of(config)) for name in names]
    states = (*windows, carried(counted, (1,), dtype="int64"))
    return writing(contexts_of(model), model.output.out_features, states)
