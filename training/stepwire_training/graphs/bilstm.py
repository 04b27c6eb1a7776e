"""Layers of both directions over whole padded texts, pooled over their positions, as nodes.

N rows, T padded positions, H hidden units of one direction, C labels. Inside, time is
axis 0, because that is how ONNX Runtime's LSTM reads; the outside never sees it.
"""

import numpy as np
import onnx

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.stacks import positions, stack
from stepwire_training.graphs.texts import Texts
from stepwire_training.models.classifier import Classifier


def by_both_ways(graph: GraphBuilder, model: Classifier, given: Texts) -> None:
    """The nodes of a model, and its logits as the output."""
    by_time = texts.by_time(graph, given)
    x = texts.embedded(graph, model.encoder.embedding.weight, by_time)  # [T, N, E]
    # PyTorch's exporters leave this out, and the backward direction then starts in the padding.
    ends = texts.ends(graph, given)
    ahead, _ = stack(graph, "forward", model.encoder.forwards, [x, ends])
    back, _ = stack(graph, "reverse", model.encoder.backwards, [x, ends])
    both = graph.node("Concat", [ahead, back], axis=2)  # [T, N, 2H]
    pooled = pool(graph, both, by_time, given.lengths)  # [N, 4H]
    texts.score(graph, pooled, model.output)


def pool(graph: GraphBuilder, x: str, by_time: str, lengths: str) -> str:
    """Mean and maximum of x [T, N, 2H] over each row's own positions: [N, 4H].

    Of by_time [T, N] the shape alone is read; lengths are [N].
    """
    inside = _inside(graph, by_time, lengths)
    time = graph.integers("time_axis", 0)
    only = graph.node("Where", [inside, x, graph.weight("zero", np.array(0.0, np.float32))])
    total = graph.node("ReduceSum", [only, time], keepdims=0)  # [N, 2H]
    counts = graph.node("Unsqueeze", [lengths, graph.integers("feature_axis", 1)])  # [N, 1]
    mean = graph.node("Div", [total, graph.node("Cast", [counts], to=onnx.TensorProto.FLOAT)])
    # The outputs lie above -1, so padding never wins.
    above = graph.node("Where", [inside, x, graph.weight("least", np.array(-1.0, np.float32))])
    maximum = graph.node("ReduceMax", [above, time], keepdims=0)  # [N, 2H]
    return graph.node("Concat", [mean, maximum], axis=1)


def _inside(graph: GraphBuilder, by_time: str, lengths: str) -> str:
    """Which positions belong to a row's text: bool [T, N, 1]."""
    position = positions(graph, by_time, axis=0)  # [T]
    column = graph.node("Unsqueeze", [position, graph.integers("row_axis", 1)])  # [T, 1]
    inside = graph.node("Less", [column, lengths])  # [T, N]
    return graph.node("Unsqueeze", [inside, graph.integers("last_axis", 2)])
