"""A whole-text classifier as a graph.

N rows, T padded positions, H hidden units of one direction, C labels. Inside, time is
axis 0, because that is how ONNX Runtime's LSTM reads; the outside never sees it.
"""

import numpy as np
import onnx

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.stacks import positions, stack
from stepwire_training.models.classifier import Classifier


def sequence_graph(model: Classifier) -> bytes:
    """The file sequence.onnx: tokens [N, T] and lengths [N] to logits [N, C]."""
    graph = GraphBuilder("sequence")
    tokens = graph.input("tokens", np.int64, ["N", "T"])
    lengths = graph.input("lengths", np.int64, ["N"])
    by_time = graph.node("Transpose", [tokens], perm=[1, 0])
    weight = graph.weight("embedding", model.encoder.embedding.weight)
    x = graph.node("Gather", [weight, by_time])  # [T, N, E]
    # PyTorch's exporters leave this out, and the backward direction then starts in the padding.
    ends = graph.node("Cast", [lengths], to=onnx.TensorProto.INT32)
    ahead, _ = stack(graph, "forward", model.encoder.forwards, [x, ends])
    back, _ = stack(graph, "reverse", model.encoder.backwards, [x, ends])
    both = graph.node("Concat", [ahead, back], axis=2)  # [T, N, 2H]
    pooled = _pool(graph, both, by_time, lengths)  # [N, 4H]
    product = graph.node("MatMul", [pooled, graph.weight("output", model.output.weight.T)])
    logits = graph.node("Add", [product, graph.weight("output_bias", model.output.bias)])
    graph.output("logits", logits, ["N", model.output.out_features])
    return graph.build()


def _pool(graph: GraphBuilder, x: str, by_time: str, lengths: str) -> str:
    """Mean and maximum of x [T, N, 2H] over each row's own positions: [N, 4H]."""
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
