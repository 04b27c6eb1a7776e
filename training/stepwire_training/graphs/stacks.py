"""Layers of one direction over whole padded texts, as nodes of a graph.

N rows, T padded positions, I inputs of a layer, H hidden units. Time is axis 0, because
that is how ONNX Runtime's recurrent operators read.
"""

import torch
from torch import nn

from stepwire_training.graphs.builder import GraphBuilder, reordered
from stepwire_training.models.encoder import recurrent
from stepwire_training.models.recurrent import Cell, RecurrentLayer

OPERATORS: dict[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
GATES: dict[Cell, tuple[int, ...]] = {  # PyTorch's, in ONNX's order
    "lstm": (0, 3, 1, 2),  # input, output, forget, candidate
    "gru": (1, 0, 2),  # update, reset, candidate
    "rnn": (0,),
}


def stack(
    graph: GraphBuilder, direction: str, layers: nn.ModuleList, inputs: list[str]
) -> tuple[str, str]:
    """One direction of an encoder.

    Args:
        graph: what the nodes go into.
        direction: "forward" or "reverse".
        layers: of that direction.
        inputs: x [T, N, I] and its lengths [N], int32.

    Returns:
        [T, N, H], zeros behind a row's length, and what the last layer knows at its end, [N, H].
    """
    x, lengths = inputs
    one_direction = graph.integers(f"{direction}_axis", 1)
    end = x
    for index, layer in enumerate(recurrent(layers)):
        weights = [
            graph.weight(f"{direction}{index}_{part}", value.unsqueeze(0))
            for part, value in gates_of(layer).items()
        ]
        attributes = {"hidden_size": layer.hidden, "direction": direction}
        if layer.cell == "gru":
            attributes["linear_before_reset"] = 1  # as PyTorch has it
        y, end = graph.nodes(OPERATORS[layer.cell], [x, *weights, lengths], 2, **attributes)
        x = graph.node("Squeeze", [y, one_direction])  # [T, N, H]
    return x, graph.node("Squeeze", [end, graph.integers(f"{direction}_first", 0)])


def gates_of(layer: RecurrentLayer) -> dict[str, torch.Tensor]:
    """A layer's weights with the gates in ONNX's order."""
    order = reordered(GATES[layer.cell], layer.hidden)
    bias = torch.cat([layer.bias_ih[order], layer.bias_hh[order]])
    return {"input": layer.weight_ih[order], "recurrent": layer.weight_hh[order], "bias": bias}


def positions(graph: GraphBuilder, like: str, axis: int) -> str:
    """The numbers of the positions along an axis of a tensor: int64 [T]."""
    size = graph.node("Squeeze", [graph.node("Shape", [like], start=axis, end=axis + 1)])
    return graph.op("Range", graph.whole_number(0), size, graph.whole_number(1))
