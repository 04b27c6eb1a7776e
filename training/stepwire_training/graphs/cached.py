"""One step of a language model with a cache, as a graph; see models/cached.py.

N rows, W words of the window, D directions, H values of what the last layer says, V words.
"""

import math

import numpy as np

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.step import read_step
from stepwire_training.models.cached import FAR_BELOW, KEYS, WORDS, CachedLanguageModel

LAST = 1 << 30  # behind the end of every axis
FAINT = 1e-30  # added to shares, so that all have a logarithm


def cached_graph(model: CachedLanguageModel) -> bytes:
    """The file step.onnx: token [N] and states to logits [N, V] and the states that follow.

    States are those of the model, keys [N, W, D] and words int64 [N, W].
    """
    graph = GraphBuilder("step")
    window, directions = model.config.window, model.config.directions
    x, scores = read_step(graph, model.model)
    keys = graph.input(KEYS, np.float32, ["N", window, directions])
    words = graph.input(WORDS, np.int64, ["N", window])
    key = graph.op("MatMul", x, graph.weight("directions", model.directions))  # [N, D]
    newest = graph.op("Add", "token", graph.whole_number(1))
    keys_next = _followed(graph, KEYS, graph.shaped(key, 1, directions))
    words_next = _followed(graph, WORDS, graph.shaped(newest, 1))
    shares = _shares(graph, model, [key, keys, words])
    graph.output(
        "logits", _mixed(graph, model, [scores, shares, words_next]), ["N", model.model.vocabulary]
    )
    graph.output(f"{KEYS}_next", keys_next, ["N", window, directions])
    graph.output(f"{WORDS}_next", words_next, ["N", window], np.int64)
    return graph.build()


def _followed(graph: GraphBuilder, held: str, newest: str) -> str:
    """What is held after one more, [N, 1, *]: the oldest is let go."""
    longer = graph.node("Concat", [held, newest], axis=1)
    newer = [graph.integers(f"{held}_newer_{n}", at) for n, at in enumerate((1, LAST, 1))]
    return graph.op("Slice", longer, *newer)


def _shares(graph: GraphBuilder, model: CachedLanguageModel, inputs: list[str]) -> str:
    """What each word of the window is given, [N, W], from a key, keys and words."""
    key, keys, words = inputs
    column = graph.shaped(key, model.config.directions, 1)
    alike = graph.shaped(graph.op("MatMul", keys, column), model.config.window)
    alike = graph.op("Mul", alike, graph.number(model.sharpness.item()))
    unknown = graph.op("Equal", words, graph.whole_number(0))
    alike = graph.op("Where", unknown, graph.number(FAR_BELOW), alike)
    shares = graph.node("Softmax", [alike], axis=-1)
    given = graph.op("Mul", shares, graph.number(model.share.item()))
    return graph.op("Where", unknown, graph.number(0.0), given)


def _mixed(graph: GraphBuilder, model: CachedLanguageModel, inputs: list[str]) -> str:
    """Logarithms of probabilities [N, V] from those of the model, shares and their words.

    Only the scores of words in the window are anything but shifted. All logarithms are of sums:
    ONNX Runtime's Log rounds the last few numbers of a tensor otherwise than those before them,
    so the rows of a batch would depend on how many there are.
    """
    scores, shares, words = inputs
    came = graph.op("Sub", words, graph.whole_number(1))
    came = graph.op("Max", came, graph.whole_number(0))  # [N, W]
    nothing = graph.op("ConstantOfShape", graph.op("Shape", scores))
    cached = graph.node("ScatterElements", [nothing, came, shares], axis=1, reduction="add")
    remembers = graph.node("ReduceMax", [shares, graph.integers("window_axis", 1)], keepdims=1)
    any_known = graph.op("Greater", remembers, graph.number(0.0))  # [N, 1]
    left = graph.number(math.log(1 - model.share.item()))
    scores = graph.op("Add", scores, graph.op("Where", any_known, left, graph.number(0.0)))
    heard = graph.node("GatherElements", [cached, came], axis=1)
    heard = graph.op("Add", heard, graph.number(FAINT))
    axis = graph.integers("parts_axis", 2)
    without = graph.node("GatherElements", [scores, came], axis=1)
    both = [without, _reduced(graph, "ReduceLogSum", axis, [heard])]
    mixed = _reduced(graph, "ReduceLogSumExp", axis, both)
    return graph.node("ScatterElements", [scores, came, mixed], axis=1)


def _reduced(graph: GraphBuilder, operator: str, axis: str, parts: list[str]) -> str:
    """Reduces what stands at the same place of some tensors [N, W]."""
    stacked = [graph.op("Unsqueeze", part, axis) for part in parts]
    return graph.node(operator, [graph.node("Concat", stacked, axis=2), axis], keepdims=0)
