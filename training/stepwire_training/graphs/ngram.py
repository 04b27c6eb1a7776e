"""One step of an n-gram model, as a graph; see models/ngram.py for what it computes.

N rows, V tokens, K tokens of the longest context, C contexts, E tokens seen after contexts, W
the most of them after one, M buckets of at most S contexts.
"""

import numpy as np
import onnx
import torch
from torch import Tensor

from stepwire_training.data.counting import NONE, digits
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.models.ngram import Ngram

STATE = "last"  # the last tokens, newest first, each plus 1; 0 where there is none yet


def ngram_graph(model: Ngram) -> bytes:
    """The file step.onnx: token [N] and the last tokens [N, K] to logits [N, V] and the next."""
    graph = GraphBuilder("step")
    longest = model.config.order - 1
    token = graph.input("token", np.int64, ["N"])
    last = graph.input(STATE, np.int64, ["N", longest])
    newest = graph.op("Unsqueeze", token, graph.integers("newest_axis", 1))
    newest = graph.op("Add", newest, graph.whole_number(1))
    older = [graph.integers(f"older_{n}", value) for n, value in enumerate((0, longest - 1, 1))]
    behind = graph.node("Concat", [newest, graph.op("Slice", last, *older)], axis=1)  # [N, K]
    nodes = _found(graph, model, behind)
    logits = _logarithms(graph, _mixed(graph, model, nodes))
    graph.output("logits", logits, ["N", model.vocabulary])
    graph.output(f"{STATE}_next", behind, ["N", longest], np.int64)
    return graph.build()


def _found(graph: GraphBuilder, model: Ngram, behind: str) -> str:
    """The number of each context of 1 to K tokens: int64 [N, K]."""
    powers, apart = digits(model.config.order - 1, model.vocabulary)
    places = graph.op("Mul", behind, graph.weight("powers", powers))
    summed = graph.op("CumSum", places, graph.whole_number(1))
    keys = graph.op("Add", summed, graph.weight("apart", apart))
    count = graph.whole_number(len(model.buckets) - 1)
    bucket, quotient = graph.op("Mod", keys, count), graph.op("Div", keys, count)
    places, inside = _ranges(graph, "buckets", model.buckets, bucket)  # [N, K, S]
    there = _at(graph, "quotients", model.quotients, places)
    column = graph.op("Unsqueeze", quotient, graph.integers("place_axis", 2))
    here = graph.op("And", inside, graph.op("Equal", there, column))
    numbers = graph.op("Add", places, graph.whole_number(1))
    kept = graph.op("Where", here, numbers, graph.whole_number(NONE))
    return graph.node("ReduceSum", [kept, graph.integers("places_axis", 2)], keepdims=0)


def _mixed(graph: GraphBuilder, model: Ngram, nodes: str) -> str:
    """Probabilities [N, V], from those of no context to those of the longest."""
    shares = _shares(graph, model, nodes)  # K times [N, 1, V]
    left = graph.op("Gather", graph.weight("left", model.left), nodes)  # [N, K]
    longest = model.config.order - 1
    parts = graph.nodes("Split", [left], longest, axis=1, num_outputs=longest)  # [N, 1] each
    result = graph.weight("base", model.base)  # [V]
    axis = graph.integers("context_axis", 1)
    for part, share in zip(parts, shares, strict=True):
        result = graph.op("Add", graph.op("Mul", part, result), graph.op("Squeeze", share, axis))
    return result


def _logarithms(graph: GraphBuilder, probabilities: str) -> str:
    """Of [N, V]. By a sum over one number, and not by Log.

    ONNX Runtime's Log rounds the last few numbers of a tensor otherwise than those before them,
    so the rows of a batch would depend on how many there are.
    """
    axis = graph.integers("sum_axis", 2)
    single = graph.op("Unsqueeze", probabilities, axis)
    return graph.node("ReduceLogSum", [single, axis], keepdims=0)


def _shares(graph: GraphBuilder, model: Ngram, nodes: str) -> list[str]:
    """The discounted shares of all tokens after each of the contexts: K times [N, 1, V]."""
    vocabulary, longest = model.vocabulary, model.config.order - 1
    places, inside = _ranges(graph, "first", model.first, nodes)  # [N, K, W]
    tokens = _at(graph, "tokens", model.tokens, places)
    # What stands behind a context's own goes to a column that is cut off.
    columns = graph.op("Where", inside, tokens, graph.whole_number(vocabulary))
    seen = graph.op("Gather", graph.weight("seen", model.seen), places)
    size = graph.node(
        "Concat",
        [graph.node("Shape", [nodes]), graph.integers("columns", vocabulary + 1)],
        axis=0,
    )
    empty = graph.op("Expand", graph.number(0.0), size)  # [N, K, V + 1]
    filled = graph.node("ScatterElements", [empty, columns, seen], axis=2)
    cut = [graph.integers(f"cut_{n}", value) for n, value in enumerate((0, vocabulary, 2))]
    shares = graph.op("Slice", filled, *cut)
    return graph.nodes("Split", [shares], longest, axis=1, num_outputs=longest)


def _ranges(graph: GraphBuilder, name: str, first: Tensor, numbers: str) -> tuple[str, str]:
    """The places of each part [N, K, W], and whether they are its own (see models/ngram.py)."""
    begins = first.long()
    bounds = torch.stack([begins[:-1], begins[1:]], dim=1).int()
    found = _at(graph, f"{name}_bounds", bounds, numbers)  # [N, K, 2]
    begin, end = graph.nodes("Split", [found], 2, axis=2, num_outputs=2)  # [N, K, 1] each
    widest = int((begins[1:] - begins[:-1]).max())
    places = graph.op("Add", begin, graph.weight(f"{name}_offsets", np.arange(widest)))
    inside = graph.op("Less", places, end)
    return graph.op("Where", inside, places, graph.whole_number(0)), inside


def _at(graph: GraphBuilder, name: str, table: Tensor, places: str) -> str:
    """Rows of a table of small whole numbers, as int64."""
    found = graph.op("Gather", graph.weight(name, table), places)
    return graph.node("Cast", [found], to=onnx.TensorProto.INT64)
