"""A classifier that says which words it looked at, as a graph.

N rows, T padded positions, H hidden units of one direction, A units that words are weighed
by, C labels. Layers read along axis 0, as ONNX Runtime's LSTM does; the outside never sees it.
"""

import numpy as np
import onnx

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import product
from stepwire_training.graphs.stacks import positions
from stepwire_training.graphs.tagging import both_ways, own
from stepwire_training.models.attentive import AttentionPool, AttentiveClassifier


def attentive_graph(model: AttentiveClassifier) -> bytes:
    """The file sequence.onnx.

    Tokens [N, T] and lengths [N] to logits [N, C] and attention [N, T], which is zero behind
    a row's length.
    """
    graph = GraphBuilder("attentive")
    tokens = graph.input("tokens", np.int64, ["N", "T"])
    lengths = graph.input("lengths", np.int64, ["N"])
    words = graph.node("Transpose", [tokens], perm=[1, 0])  # [T, N]
    learned = graph.weight("words", model.words.weight)
    parts = [
        graph.op("Gather", learned, own(graph, model.words, words)),
        graph.op("Gather", graph.weight("vectors", model.vectors), words),
    ]
    x = graph.node("Concat", parts, axis=2)
    ends = graph.node("Cast", [lengths], to=onnx.TensorProto.INT32)
    for index, layer in enumerate(model.both_ways()):
        x = both_ways(graph, f"layer{index}", layer, [x, ends])
    by_row = graph.node("Transpose", [x], perm=[1, 0, 2])  # [N, T, 2H]
    found, weights = _look(graph, model.pool, by_row, lengths)
    logits = product(graph, "output", found, model.output.weight, model.output.bias)
    graph.output("logits", logits, ["N", model.output.out_features])
    graph.output("attention", weights, ["N", "T"])
    return graph.build()


def _look(graph: GraphBuilder, pool: AttentionPool, x: str, lengths: str) -> tuple[str, str]:
    """What is found in texts x [N, T, 2H]: [N, 2H], and the weights of positions [N, T]."""
    mixed = graph.op("Tanh", product(graph, "project", x, pool.project.weight, pool.project.bias))
    scored = graph.op("MatMul", mixed, graph.weight("score", pool.score.unsqueeze(1)))
    scores = graph.op("Squeeze", scored, graph.integers("last_axis", 2))  # [N, T]
    axis = graph.integers("position_axis", 1)
    ends = graph.op("Unsqueeze", lengths, axis)  # [N, 1]
    inside = graph.op("Less", positions(graph, scores, axis=1), ends)
    weights = graph.node("Softmax", [graph.op("Where", inside, scores, graph.number(-1e9))], axis=1)
    found = graph.op("MatMul", graph.op("Unsqueeze", weights, axis), x)  # [N, 1, 2H]
    return graph.op("Squeeze", found, axis), weights
