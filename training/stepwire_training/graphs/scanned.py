"""Cells that no operator of ONNX computes as is wanted, over whole padded texts, as nodes.

N rows, T padded positions, H hidden units. A graph inside the graph computes one position,
and Scan runs it T times.
"""

from collections.abc import Callable, Sequence

import numpy as np

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.texts import Texts

# What a cell makes of its part of the input [N, *] and of its states [N, H]: the next states.
Cell = Callable[[GraphBuilder, str, Sequence[str]], list[str]]


def scanned(
    graph: GraphBuilder, given: Texts, from_input: str, cell: Cell, sizes: tuple[int, int, int]
) -> str:
    """Reads texts from their beginnings.

    Args:
        graph: what the nodes go into.
        given: the texts.
        from_input: what the input says at each position, [T, N, *].
        cell: makes the nodes of a position.
        sizes: of what the input says, H, and how many states there are.

    Returns:
        The first state at the end of each text, [N, H].
    """
    wide, hidden, states = sizes
    rows = graph.node("Shape", [given.lengths])
    size = graph.node("Concat", [rows, graph.integers("units", hidden)], axis=0)
    zeros = graph.op("Expand", graph.number(0.0), size)  # [N, H]
    within = graph.node("Transpose", [texts.inside(graph, given)], perm=[1, 0])  # [T, N]
    column = graph.op("Unsqueeze", within, graph.integers("feature_axis", 2))  # [T, N, 1]

    inner = graph.inner("position")
    before = [inner.input(f"state{n}", np.float32, ["N", hidden]) for n in range(states)]
    said = inner.input("said", np.float32, ["N", wide])
    inside = inner.input("inside", np.bool_, ["N", 1])
    for n, (new, old) in enumerate(zip(cell(inner, said, before), before, strict=True)):
        # Behind its end a text keeps the states that it had there.
        kept = inner.op("Where", inside, new, old)
        inner.output(f"next{n}", kept, ["N", hidden])
    return graph.scan(inner, states=[zeros] * states, read=[from_input, column])[0]
