"""A tagger of whole sentences as a graph.

N rows, T padded positions, C characters of a word, A known characters, V words, F filters of
one width, H hidden units of one direction, L labels. Inside, time is axis 0, because that is
how ONNX Runtime's LSTM reads; the outside never sees it.
"""

from typing import NamedTuple

import numpy as np
import onnx
import torch
from torch import nn

from stepwire_training.graphs import texts
from stepwire_training.graphs.bilstm import pool
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.pairs import pairs
from stepwire_training.graphs.stacks import gates_of
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_training.models.tagger import BothWays, Spelling, Tagger


class Spelled(NamedTuple):
    """The characters of words, as a tensor of the graph."""

    characters: str  # int64 [T, N, C]
    width: int  # C


def tagging_graph(model: Tagger, width: int) -> bytes:
    """The file sequence.onnx.

    Args:
        model: what it computes.
        width: characters of a word, C.

    Returns:
        Tokens [N, T], characters [N, T, C] and lengths [N] to logits [N, T, L], and to
        text_logits [N, K] if the model judges sentences, by K labels. What stands behind a
        row's length says nothing.
    """
    graph = GraphBuilder("tagging")
    tokens = graph.input("tokens", np.int64, ["N", "T"])
    characters = graph.input("characters", np.int64, ["N", "T", width])
    lengths = graph.input("lengths", np.int64, ["N"])
    words = graph.node("Transpose", [tokens], perm=[1, 0])  # [T, N]
    spelled = graph.node("Transpose", [characters], perm=[1, 0, 2])  # [T, N, C]
    parts = features(graph, model, words, Spelled(spelled, width))
    if model.config.pairs:
        parts += pairs(graph, model, [words, lengths])
    x = graph.node("Concat", parts, axis=2)
    ends = graph.node("Cast", [lengths], to=onnx.TensorProto.INT32)
    for index, layer in enumerate(model.both_ways()):
        x = both_ways(graph, f"layer{index}", layer, [x, ends])
    logits = texts.linear(graph, "output", x, model.output)  # [T, N, L]
    if isinstance(model, JointTagger):
        pooled = pool(graph, x, words, lengths)  # [N, 4H]
        judged = texts.linear(graph, "text_output", pooled, model.text_output)
        graph.output("text_logits", judged, ["N", model.text_output.out_features])
    by_row = graph.node("Transpose", [logits], perm=[1, 0, 2])  # [N, T, L]
    graph.output("logits", by_row, ["N", "T", model.output.out_features])
    return graph.build()


def features(graph: GraphBuilder, model: Tagger, words: str, spelled: Spelled) -> list[str]:
    """What is known of words [T, N] by themselves: [T, N, *] each."""
    return [
        graph.op(
            "Gather", graph.weight("words", model.words.weight), own(graph, model.words, words)
        ),
        graph.op("Gather", graph.weight("vectors", model.vectors), words),
        *_spelling(graph, model.spelling, spelled),
    ]


def own(graph: GraphBuilder, embedding: nn.Embedding, words: str) -> str:
    """Which learned embedding each word has: 0, the unknown's, if it is not common."""
    common = graph.op("Less", words, graph.whole_number(embedding.num_embeddings))
    return graph.op("Where", common, words, graph.whole_number(0))


def _spelling(graph: GraphBuilder, spelling: Spelling, inputs: Spelled) -> list[str]:
    """What filters find in words [T, N, C]: [T, N, F] for each width.

    A filter is a sum over the places of its window, and what a character adds at a place is
    known beforehand: ONNX Runtime works the products out once, when it loads the graph. What
    is left are rows of tables, added up always in the same order; nothing that could round
    differently beside other rows.
    """
    found = []
    table = graph.weight("characters_table", spelling.characters())  # [A, D]
    axis = graph.integers("character_axis", 2)
    for width, filters in zip(spelling.widths, spelling.linear_filters(), strict=True):
        windowed = _around(graph, inputs.characters, width)
        weight = filters.weight.reshape(len(filters.weight), width, -1)  # [F, width, D]
        total = graph.weight(f"width{width}_bias", filters.bias)
        for place in range(width):
            ends = [
                graph.integers(f"width{width}_{place}_{end}", end)
                for end in (place, place + inputs.width)
            ]
            column = graph.op("Slice", windowed, *ends, axis)  # [T, N, C]
            by_character = graph.weight(f"width{width}_{place}", weight[:, place].T)
            added = graph.op("Gather", graph.op("MatMul", table, by_character), column)
            total = graph.op("Add", total, added)  # [T, N, C, F]
        most = graph.node("ReduceMax", [total, axis], keepdims=0)
        found.append(graph.op("Relu", most))
    return found


def _around(graph: GraphBuilder, characters: str, width: int) -> str:
    """Words with padding at both ends: [T, N, C + width - 1]."""
    before = (width - 1) // 2
    pads = graph.integers(f"width{width}_pads", 0, 0, before, 0, 0, width - 1 - before)
    return graph.op("Pad", characters, pads)


def both_ways(graph: GraphBuilder, name: str, layer: BothWays, inputs: list[str]) -> str:
    """A layer of both directions: x [T, N, I] and lengths [N], int32, to [T, N, 2H]."""
    x, lengths = inputs
    ahead, back = gates_of(layer.ahead), gates_of(layer.back)
    weights = [
        graph.weight(f"{name}_{part}", torch.stack([ahead[part], back[part]])) for part in ahead
    ]
    y = graph.node(
        "LSTM", [x, *weights, lengths], hidden_size=layer.ahead.hidden, direction="bidirectional"
    )  # [T, 2, N, H]
    beside = graph.node("Transpose", [y], perm=[0, 2, 1, 3])  # [T, N, 2, H]
    return graph.node("Reshape", [beside, graph.integers(f"{name}_joined", 0, 0, -1)])
