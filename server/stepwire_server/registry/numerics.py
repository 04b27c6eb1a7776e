"""A fingerprint of what computes a model's numbers: equal where they are equal, bit for bit."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.graph import StepGraph
from stepwire_server.engine.runtime import RUNTIME
from stepwire_server.engine.sources import Source
from stepwire_server.registry.proof import beginning

_STEPS = 8


def fingerprint(
    graph: StepGraph,
    choices: Sequence[int],
    provider: str,
    digest: str,
    sources: Sequence[Source] = (),
) -> str:
    """Runs a few steps, and hashes every bit of them.

    Args:
        graph: of the model.
        choices: below which each number stays that it reads, W of them; none for features.
        provider: that runs it.
        digest: of its bundle.
        sources: at most one, for a model that looks at some; it is hashed too.

    Returns:
        32 hexadecimal digits.
    """
    found = blake2b(digest_size=16)
    found.update(f"{digest} {provider} {RUNTIME}".encode())
    states, view = beginning(graph, sources, 1)
    for source in sources:
        for array in source.contexts.values():
            found.update(np.ascontiguousarray(array).tobytes())
    for step in range(_STEPS):
        stepped = graph.step(_made_up(graph, choices, step), states, view)
        states = stepped.states
        for array in (stepped.logits, *states.values()):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _made_up(graph: StepGraph, choices: Sequence[int], step: int) -> NDArray[Any]:
    """What a row may read in a step, [1, *]."""
    places = np.arange(graph.blank.size)
    if not choices:
        return np.sin(places.astype(np.float32) + step)[None]
    numbers = (step * 7919 + places) % np.array(choices)
    return numbers.reshape(1, *graph.blank.shape)
