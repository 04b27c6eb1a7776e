"""A classifier that says which words it looked at, as a graph.

N rows, T padded positions, F fixed values of a word, H hidden units of one direction, C
labels. Layers read along axis 0, as ONNX Runtime's LSTM does; the outside never sees it.
"""

from typing import NamedTuple

import onnx
import torch
from torch import Tensor

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import product
from stepwire_training.graphs.tagging import both_ways, own
from stepwire_training.models.attentive import AttentionPool, AttentiveClassifier, Reader, quanta


class Read(NamedTuple):
    """What every reader reads."""

    words: str  # int64 [T, N]
    known: str  # their fixed vectors, [T, N, F]
    ends: str  # the lengths of the texts, int32 [N]
    inside: str  # which positions are a text's own, bool [N, T]


def attentive_graph(model: AttentiveClassifier) -> bytes:
    """The file sequence.onnx.

    Tokens [N, T] and lengths [N] to logits [N, C] and attention [N, T], which is zero behind
    a row's length.
    """
    graph = GraphBuilder("attentive")
    given = texts.begin(graph)
    words = texts.by_time(graph, given)
    known = _known(graph, model.vectors.detach(), words)
    read = Read(words, known, texts.ends(graph, given), texts.inside(graph, given))
    judged = [
        _judge(graph, f"reader{index}", reader, read)
        for index, reader in enumerate(model.each_reader())
    ]
    labels = model.each_reader()[0].output.out_features
    graph.output("logits", _mean(graph, [logits for logits, _ in judged]), ["N", labels])
    graph.output("attention", _mean(graph, [weights for _, weights in judged]), ["N", "T"])
    return graph.build()


def _known(graph: GraphBuilder, vectors: Tensor, words: str) -> str:
    """The fixed vectors [V, F] of words [T, N], stored as bytes: [T, N, F]."""
    quantum = quanta(vectors)
    multiples = (vectors / quantum).to(torch.int8)
    found = graph.op("Gather", graph.weight("vectors", multiples), words)
    whole = graph.node("Cast", [found], to=onnx.TensorProto.FLOAT)
    return graph.op("Mul", whole, graph.weight("quanta", quantum))


def _judge(graph: GraphBuilder, name: str, reader: Reader, read: Read) -> tuple[str, str]:
    """What one reader makes of texts: logits [N, C] and weights [N, T]."""
    table = graph.weight(f"{name}_words", reader.words.weight)
    learned = graph.op("Gather", table, own(graph, reader.words, read.words))
    x = graph.node("Concat", [learned, read.known], axis=2)
    for index, layer in enumerate(reader.both_ways()):
        x = both_ways(graph, f"{name}_layer{index}", layer, [x, read.ends])
    by_row = graph.node("Transpose", [x], perm=[1, 0, 2])  # [N, T, 2H]
    found, weights = _look(graph, name, reader.pool, [by_row, read.inside])
    output = reader.output
    return product(graph, f"{name}_output", found, output.weight, output.bias), weights


def _mean(graph: GraphBuilder, parts: list[str]) -> str:
    """The mean of tensors of one shape, added up in their order."""
    total = parts[0]
    for part in parts[1:]:
        total = graph.op("Add", total, part)
    return graph.op("Mul", total, graph.number(1.0 / len(parts)))


def _look(
    graph: GraphBuilder, name: str, pool: AttentionPool, inputs: list[str]
) -> tuple[str, str]:
    """What is found inside texts [N, T, 2H]: [N, 2H], and the weights of positions [N, T]."""
    x, inside = inputs
    project = pool.project
    mixed = graph.op("Tanh", product(graph, f"{name}_look", x, project.weight, project.bias))
    scored = graph.op("MatMul", mixed, graph.weight(f"{name}_score", pool.score.unsqueeze(1)))
    scores = graph.op("Squeeze", scored, graph.integers(f"{name}_last", 2))  # [N, T]
    axis = graph.integers(f"{name}_axis", 1)
    weights = graph.node("Softmax", [graph.op("Where", inside, scores, graph.number(-1e9))], axis=1)
    found = graph.op("MatMul", graph.op("Unsqueeze", weights, axis), x)  # [N, 1, 2H]
    return graph.op("Squeeze", found, axis), weights
