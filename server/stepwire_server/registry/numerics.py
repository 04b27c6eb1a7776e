"""A fingerprint of what computes a model's numbers: equal where they are equal, bit for bit."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from stepwire_server.engine.graph import StepGraph
from stepwire_server.engine.runtime import RUNTIME
from stepwire_server.engine.sources import Source
from stepwire_server.registry.proof import beginning

_STEPS = 8


def fingerprint(
    graph: StepGraph, vocabulary: int, provider: str, digest: str, sources: Sequence[Source] = ()
) -> str:
    """Runs a few steps, and hashes every bit of them.

    Args:
        graph: of the model.
        vocabulary: tokens that it reads; 0 where it reads features.
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
        inputs = (
            np.array([step * 7919 % vocabulary])
            if vocabulary
            else np.sin(np.arange(graph.features, dtype=np.float32) + step)[None]
        )
        stepped = graph.step(inputs, states, view)
        states = stepped.states
        for array in (stepped.logits, *states.values()):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
