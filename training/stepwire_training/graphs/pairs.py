"""What stands for two neighbours, as nodes of a tagger's graph.

N rows, T padded positions, M rows of the table of pairs, E values of a vector.
"""

import numpy as np

from stepwire_training.data.pairs import FACTOR
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.stacks import positions
from stepwire_training.models.tagger import Tagger


def pairs(graph: GraphBuilder, model: Tagger, inputs: list[str]) -> list[str]:
    """Vectors of each word with the one before it, and with the one behind it.

    What stands behind a row's length counts as the unknown word, whatever it is.

    Args:
        graph: what the nodes go into.
        model: has the table.
        inputs: words [T, N] and lengths [N].

    Returns:
        [T, N, E] twice.
    """
    words, lengths = inputs
    place = graph.op("Unsqueeze", positions(graph, words, 0), graph.integers("pair_place", 1))
    nothing = graph.weight("pair_nothing", np.array(0, np.int64))
    inside = graph.op("Where", graph.op("Less", place, lengths), words, nothing)
    around = graph.op("Pad", inside, graph.integers("pair_pads", 1, 0, 1, 0))  # [T + 2, N]
    left, right = _without_last(graph, around), _without_first(graph, around)  # [T + 1, N]
    factor = graph.weight("pair_factor", np.array(FACTOR, np.int64))
    rows = graph.weight("pair_rows", np.array(model.config.pairs, np.int64))
    numbers = graph.op("Mod", graph.op("Add", graph.op("Mul", left, factor), right), rows)
    found = graph.op("Gather", graph.weight("pairs", model.pairs), numbers)  # [T + 1, N, E]
    return [_without_last(graph, found), _without_first(graph, found)]


def _without_last(graph: GraphBuilder, x: str) -> str:
    ends = [graph.integers(f"{x}_{name}", n) for name, n in (("from", 0), ("to", -1))]
    return graph.op("Slice", x, *ends, graph.integers(f"{x}_first_axis", 0))


def _without_first(graph: GraphBuilder, x: str) -> str:
    ends = [graph.integers(f"{x}_{name}", n) for name, n in (("second", 1), ("end", 1 << 30))]
    return graph.op("Slice", x, *ends, graph.integers(f"{x}_second_axis", 0))
