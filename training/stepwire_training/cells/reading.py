"""Reads a text with a published bundle and keeps the memory of every cell.

T characters, U cells, N parts of a text that are read side by side.
"""

import numpy as np

from stepwire_training import parity
from stepwire_training.cells.probes import Activations
from stepwire_training.data.splitting import Ids
from stepwire_zoo.bundle import Bundle

ROWS = 16  # N; each begins with what stands before it, which is read and not kept
BEFORE = 400  # characters


def memories(bundle: Bundle, text: Ids) -> Activations:
    """The output of the role `hidden` of a bundle's step graph after each token, [T, U].

    Raises:
        ValueError: the bundle has no such output.
    """
    step = bundle.manifest.graphs["step"]
    names = [tensor.name for tensor in step.outputs if tensor.role == "hidden"]
    if not names:
        raise ValueError(f"{bundle.manifest.name} must show its memory, got no such output")
    session = parity.session(bundle.read(step.file))
    rows = min(ROWS, len(text))
    parts = np.array_split(np.arange(len(text)), rows)
    longest = max(map(len, parts))
    places = np.stack([np.arange(part[0] - BEFORE, part[0] + longest) for part in parts])
    # The first part has nothing before it, and reads its own beginning twice.
    places[0, :BEFORE] += min(BEFORE, len(text))
    tokens = text[np.clip(places, 0, len(text) - 1)]  # [N, BEFORE + longest]
    states = {s.input: np.zeros((rows, *s.shape), s.dtype) for s in step.states}
    kept: list[list[np.ndarray]] = [[] for _ in parts]
    following = [state.output for state in step.states]
    for at, token in enumerate(tokens.T):
        shown, *after = session.run([*names[:1], *following], {"token": token, **states})
        states = dict(zip(states, after, strict=True))
        for row, part in enumerate(parts):
            if BEFORE <= at < BEFORE + len(part):
                kept[row].append(shown[row].ravel().astype(np.float16))
    return np.concatenate([np.stack(rows) for rows in kept if rows])
