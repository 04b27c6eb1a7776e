"""How the tensors of someone's graph belong together: rows, time, states.

Found by looking at the graph and proved by running it; see registry/dropin.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One input or output."""

    name: str
    dtype: str  # as NumPy names it, "bytes" for strings
    shape: tuple[int, ...]  # whole; -1 varies
    batch_axis: int | None = 0  # None: it has none, and is the same for all rows
    time_axis: int | None = None


@dataclass(frozen=True, kw_only=True)
class StatePair:
    """A tensor that a run reads, and the one that takes its place for the next run."""

    input: Wire
    output: Wire
    start: NDArray[Any] | None = None  # of one row, its batch axis left out; None: zeros


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """A whole graph."""

    inputs: tuple[Wire, ...]  # states left out
    outputs: tuple[Wire, ...]  # states left out
    states: tuple[StatePair, ...] = ()
    lengths: str | None = None  # the input, [N], that says how much of each row counts
    # Rows may share a run: they come out bit for bit as they do alone.
    merges: bool = True

    @property
    def batched(self) -> bool:
        """Whether it takes rows at all."""
        return any(wire.batch_axis is not None for wire in self.inputs)
