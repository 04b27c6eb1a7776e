"""Whether a row's result is bitwise the same on this machine whatever shares its batch.

It was proved where the bundle was published; another CPU or provider may round otherwise
in batches of other sizes, so it is tried again wherever a bundle is loaded.
"""

from collections.abc import Callable, Sequence

import numpy as np

from stepwire_server.engine.graph import (
    EmbeddingGraph,
    EncodeGraph,
    SequenceGraph,
    StepGraph,
    TaggingGraph,
)
from stepwire_server.engine.slots import State
from stepwire_server.engine.sources import Source
from stepwire_server.registry.proof import beginning
from stepwire_zoo.golden import GoldenCase

_SIZES = (2, 3, 5, 8, 16, 32, 64, 128, 256)
_READ = 4  # steps before the one that is compared, so that states are not zeros

_Run = Callable[[list[int]], list[list[np.ndarray]]]
"""Runs rows of a case together; gives the arrays of each."""


def steps_stand_alone(
    graph: StepGraph, case: GoldenCase, most_rows: int, sources: Sequence[Source] = ()
) -> bool:
    """Steps the rows of a golden case alone, and in batches of many sizes.

    Args:
        graph: the step graph.
        case: as `prove_step` takes it.
        most_rows: of a batch.
        sources: what the rows look at.
    """
    inputs = case.inputs[graph.reads]
    states = [_read(graph, inputs, row, sources) for row in range(len(inputs))]
    bucket = max((source.bucket for source in sources), default=0)
    seen = [source.padded(bucket) for source in sources]

    def run(rows: list[int]) -> list[list[np.ndarray]]:
        _, view = beginning(graph, [seen[row] for row in rows] if seen else [], len(rows))
        together = {name: np.stack([states[row][name] for row in rows]) for name in graph.start}
        last = min(_READ, inputs.shape[1] - 1)
        stepped = graph.step(inputs[rows, last], together, view, graph.roles)
        arrays = [*stepped.extras.values(), *stepped.states.values()]
        return [[array[place] for array in arrays] for place in range(len(rows))]

    return _stand_alone(run, len(inputs), most_rows)


def texts_stand_alone(
    graph: SequenceGraph | TaggingGraph | EmbeddingGraph | EncodeGraph,
    buckets: Sequence[int],
    case: GoldenCase,
    most_rows: int,
) -> bool:
    """Reads the texts of a golden case alone, and in batches of many sizes, at two lengths."""
    lengths, given = case.inputs["lengths"], case.inputs["tokens"]
    held = [size for size in buckets if size >= lengths.max()]
    for bucket in {held[0], held[-1]}:
        tokens = np.zeros((len(lengths), bucket, *given.shape[2:]), np.int64)
        width = min(bucket, given.shape[1])
        tokens[:, :width] = given[:, :width]

        def run(rows: list[int], tokens: np.ndarray = tokens) -> list[list[np.ndarray]]:
            return [each.arrays for each in graph.run(tokens[rows], lengths[rows])]

        if not _stand_alone(run, len(lengths), most_rows):
            return False
    return True


def _read(graph: StepGraph, inputs: np.ndarray, row: int, sources: Sequence[Source]) -> State:
    """The state of a row that has read a few inputs, [*] each."""
    states, view = beginning(graph, sources[row : row + 1], 1)
    for step in range(min(_READ, inputs.shape[1] - 1)):
        states = graph.step(inputs[[row], step], states, view).states
    return {name: array[0] for name, array in states.items()}


def _stand_alone(run: _Run, count: int, most_rows: int) -> bool:
    alone = [run([row])[0] for row in range(count)]
    for size in sorted({*(s for s in _SIZES if s < most_rows), most_rows} - {1}):
        rows = (np.arange(size) % count).tolist()
        for row, arrays in zip(rows, run(rows), strict=True):
            if not all(map(np.array_equal, arrays, alone[row])):
                return False
    return True
