"""How many engines a model gets where nobody says."""

import time

import numpy as np

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.graph import StepGraph

# What the event loop and gRPC pay for one row's token, under load and with messages that carry
# several: one engine keeps the loop busy with rows that cost less than that. Measured where a
# row of the zoo's largest generator costs 15 us in int8 and 65 us in float32; on a faster
# machine all of it shrinks. docs/adr/0010 has the figures.
LOOP_ROW_S = 60e-6
_RUNS = 5


def engines_for(graph: StepGraph, runtime: RuntimeConfig, rows: int) -> int:
    """As many engines as can keep the event loop busy, of those that there may be.

    More of them would only take the interpreter's lock from it.

    Args:
        graph: looks at no sources.
        runtime: the settings.
        rows: that share a run at most.
    """
    if runtime.engines_per_model or runtime.most_engines == 1:
        return runtime.engines_per_model or 1
    wanted = int(row_seconds(graph, rows) / LOOP_ROW_S)
    return max(1, min(wanted, runtime.most_engines))


def row_seconds(graph: StepGraph, rows: int) -> float:
    """What a row costs among so many; the shortest of some runs, since other work goes on."""
    states = {name: np.repeat(value[None], rows, 0) for name, value in graph.start.items()}
    inputs = np.repeat(graph.blank[None], rows, 0)
    took_s = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        graph.step(inputs, states)
        took_s.append(time.perf_counter() - began)
    return min(took_s) / rows
