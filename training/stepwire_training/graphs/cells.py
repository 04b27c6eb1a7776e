"""One step of a recurrent layer, as nodes of a graph.

N rows, I inputs of a layer, L layers, H hidden units. Weights are stored the way the
products read them, so that nothing is transposed while serving.
"""

from collections.abc import Callable

import numpy as np
import torch

from stepwire_training.graphs.builder import GraphBuilder, reordered
from stepwire_training.graphs.texts import normalised
from stepwire_training.models.normalised_lstm import NormalisedLayer
from stepwire_training.models.recurrent import RecurrentLayer

Names = list[str]
Size = tuple[int, int]  # L, H


def split_state(graph: GraphBuilder, name: str, size: Size, rows: str = "N") -> Names:
    """A state [N, L, H] as one [N, H] for each layer."""
    layers, hidden = size
    state = graph.input(name, np.float32, [rows, layers, hidden])
    flat = graph.node("Reshape", [state, graph.integers(f"{name}_flat", 0, layers * hidden)])
    return graph.nodes("Split", [flat], layers, axis=1, num_outputs=layers)


def join_state(graph: GraphBuilder, name: str, parts: Names, size: Size, rows: str = "N") -> None:
    """One [N, H] for each layer as an output [N, L, H]."""
    layers, hidden = size
    flat = graph.node("Concat", parts, axis=1)
    state = graph.node("Reshape", [flat, graph.integers(f"{name}_shape", 0, layers, hidden)])
    graph.output(name, state, [rows, layers, hidden])


def _lstm(graph: GraphBuilder, name: str, layer: RecurrentLayer, inputs: Names) -> Names:
    """One LSTM layer: x, h, c to the next h, c.

    The gates come in the order input, forget, output, candidate, so that one sigmoid
    runs over the first three.
    """
    x, h, c = inputs
    hidden = layer.hidden
    order = reordered((0, 1, 3, 2), hidden)
    gates = _joint_product(graph, name, layer, [x, h], order)
    sizes = graph.integers(f"{name}_gates", 3 * hidden, hidden)
    opening, candidate = graph.nodes("Split", [gates, sizes], 2, axis=1)
    opened = graph.node("Sigmoid", [opening])
    admit, keep, show = graph.nodes("Split", [opened], 3, axis=1, num_outputs=3)
    kept = graph.node("Mul", [keep, c])
    added = graph.node("Mul", [admit, graph.node("Tanh", [candidate])])
    c_next = graph.node("Add", [kept, added])
    return [graph.node("Mul", [show, graph.node("Tanh", [c_next])]), c_next]


def _gru(graph: GraphBuilder, name: str, layer: RecurrentLayer, inputs: Names) -> Names:
    """One GRU layer: x, h to the next h.

    Two products, because the reset gate scales what the candidate takes from h and leaves
    alone what it takes from x.
    """
    x, h = inputs
    sizes = graph.integers(f"{name}_gates", 2 * layer.hidden, layer.hidden)
    from_x = product(graph, f"{name}_x", x, layer.weight_ih, layer.bias_ih)
    from_h = product(graph, f"{name}_h", h, layer.weight_hh, layer.bias_hh)
    opening_x, candidate_x = graph.nodes("Split", [from_x, sizes], 2, axis=1)
    opening_h, candidate_h = graph.nodes("Split", [from_h, sizes], 2, axis=1)
    opened = graph.node("Sigmoid", [graph.node("Add", [opening_x, opening_h])])
    reset, keep = graph.nodes("Split", [opened], 2, axis=1, num_outputs=2)
    recalled = graph.node("Mul", [reset, candidate_h])
    candidate = graph.node("Tanh", [graph.node("Add", [candidate_x, recalled])])
    change = graph.node("Mul", [keep, graph.node("Sub", [h, candidate])])
    return [graph.node("Add", [candidate, change])]


def _rnn(graph: GraphBuilder, name: str, layer: RecurrentLayer, inputs: Names) -> Names:
    """One layer of plain tanh cells: x, h to the next h."""
    order = torch.arange(layer.hidden)
    return [graph.node("Tanh", [_joint_product(graph, name, layer, inputs, order)])]


def _normalised_lstm(
    graph: GraphBuilder, name: str, layer: NormalisedLayer, inputs: Names
) -> Names:
    """One LSTM layer with normalised gates and memory: x, h, c to the next h, c."""
    x, h, c = inputs
    from_input = graph.op("MatMul", x, graph.weight(f"{name}_input", layer.weight_ih.T))
    from_state = graph.op("MatMul", h, graph.weight(f"{name}_recurrent", layer.weight_hh.T))
    gates = graph.op(
        "Add",
        normalised(graph, f"{name}_of_input", from_input, layer.of_input),
        normalised(graph, f"{name}_of_state", from_state, layer.of_state),
    )
    return normalised_memory(graph, name, layer, [gates, c])


def normalised_memory(
    graph: GraphBuilder, name: str, layer: NormalisedLayer, inputs: Names
) -> Names:
    """The second half of that: normalised gates [N, 4H] and c to the next h, c."""
    gates, c = inputs
    sizes = graph.integers(f"{name}_gates", 3 * layer.hidden, layer.hidden)
    opening, candidate = graph.nodes("Split", [gates, sizes], 2, axis=1)
    admit, keep, show = graph.nodes(
        "Split", [graph.op("Sigmoid", opening)], 3, axis=1, num_outputs=3
    )
    added = graph.op("Mul", admit, graph.op("Tanh", candidate))
    memory = graph.op("Add", graph.op("Mul", keep, c), added)
    calm = normalised(graph, f"{name}_of_memory", memory, layer.of_memory)
    return [graph.op("Mul", show, graph.op("Tanh", calm)), memory]


CELLS: dict[str, Callable[..., Names]] = {
    **{"lstm": _lstm, "gru": _gru, "rnn": _rnn},
    "ln-lstm": _normalised_lstm,
}


def _joint_product(
    graph: GraphBuilder, name: str, layer: RecurrentLayer, inputs: Names, order: torch.Tensor
) -> str:
    """All gates of a layer by one product over [x, h]; order [4H] rearranges the gates."""
    joined = graph.node("Concat", inputs, axis=1)
    parts = [layer.weight_ih[order].T, layer.weight_hh[order].T]  # [E, 4H], [H, 4H]
    multiplied = graph.op("MatMul", joined, graph.joined(f"{name}_weight", parts, axis=0))
    bias = graph.weight(f"{name}_bias", (layer.bias_ih + layer.bias_hh)[order])
    return graph.op("Add", multiplied, bias)


def product(
    graph: GraphBuilder, name: str, x: str, weight: torch.Tensor, bias: torch.Tensor
) -> str:
    """X [N, I] times weight [G, I] plus bias [G]."""
    multiplied = graph.node("MatMul", [x, graph.weight(f"{name}_weight", weight.T)])
    return graph.node("Add", [multiplied, graph.weight(f"{name}_bias", bias)])
