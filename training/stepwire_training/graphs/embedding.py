"""Word vectors as a graph.

N rows, T numbers that a word is made of, V words, G parts of words, E values of a vector.
"""

import numpy as np
import onnx
from torch import Tensor

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.models.word_vectors import SHORTEST


def embedding_graph(table: Tensor, words: int) -> bytes:
    """The file sequence.onnx.

    Args:
        table: the vectors of all words, then those of all parts, [V + G, E].
        words: V.

    Returns:
        Tokens [N, T] and lengths [N] to vector [N, E], the mean of a row of the table for each
        token, and its cosines [N, V] with all words. What stands behind a row's length says
        nothing.
    """
    graph = GraphBuilder("embedding")
    tokens = graph.input("tokens", np.int64, ["N", "T"])
    lengths = graph.input("lengths", np.int64, ["N"])
    rows = graph.weight("table", table)
    vector = _mean(graph, graph.op("Gather", rows, tokens), lengths)
    known = graph.op("Slice", rows, graph.integers("first", 0), graph.integers("words", words))
    # Worked out once, when the graph is loaded.
    turned = graph.node("Transpose", [_unit(graph, known)], perm=[1, 0])  # [E, V]
    cosines = graph.op("MatMul", _unit(graph, vector), turned)
    graph.output("vector", vector, ["N", table.shape[1]])
    graph.output("cosines", cosines, ["N", words])
    return graph.build()


def _mean(graph: GraphBuilder, gathered: str, lengths: str) -> str:
    """The mean over a row's length of [N, T, E]: [N, E].

    A product with ones and zeros adds up in an order that only T decides.
    """
    positions = graph.node("Shape", [gathered], start=1, end=2)
    scalar = graph.op("Squeeze", positions)
    zero, one = (graph.weight(f"count_{n}", np.array(n, np.int64)) for n in (0, 1))
    places = graph.op("Range", zero, scalar, one)  # [T]
    axis = graph.integers("middle_axis", 1)
    ends = graph.op("Unsqueeze", lengths, axis)  # [N, 1]
    inside = graph.node("Cast", [graph.op("Less", places, ends)], to=onnx.TensorProto.FLOAT)
    total = graph.op("MatMul", graph.op("Unsqueeze", inside, axis), gathered)  # [N, 1, E]
    count = graph.node("Cast", [ends], to=onnx.TensorProto.FLOAT)
    return graph.op("Div", graph.op("Squeeze", total, axis), count)


def _unit(graph: GraphBuilder, vectors: str) -> str:
    """Rows [*, E] of length one; one of nothing stays so."""
    axis = graph.integers(f"axis_of_{vectors}", 1)
    length = graph.op("ReduceL2", vectors, axis)  # [*, 1]
    return graph.op("Div", vectors, graph.op("Max", length, graph.number(SHORTEST)))
