"""A model's state as one string of bytes, which is how idle sessions keep it.

N rows, * a part's own shape.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stepwire_server.engine.slots import State


@dataclass(frozen=True)
class Layout:
    """Names, shapes and types of a state's parts, in the order of the manifest."""

    parts: tuple[tuple[str, tuple[int, ...], np.dtype], ...]

    @classmethod
    def like(cls, state: State) -> Self:
        """The layout of a state, [*] for each name."""
        return cls(tuple((name, part.shape, part.dtype) for name, part in state.items()))

    @cached_property
    def size_bytes(self) -> int:
        """Of a packed state."""
        return sum(math.prod(shape) * dtype.itemsize for _, shape, dtype in self.parts)

    def pack(self, state: State) -> bytes:
        """Writes a state, [*] for each name, down; little-endian."""
        rows = self.pack_rows({name: np.asarray(part)[None] for name, part in state.items()})
        return rows[0].tobytes()

    def unpack(self, packed: bytes) -> State:
        """Reads a state, [*] for each name."""
        return {name: rows[0] for name, rows in self.unpack_rows([packed]).items()}

    def pack_row(self, states: State) -> bytes:
        """Writes the state of one row, [1, *] for each name, down."""
        return b"".join(
            [
                states[name].astype(dtype.newbyteorder("<"), copy=False).tobytes()
                for name, _, dtype in self.parts
            ]
        )

    def pack_rows(self, states: State) -> NDArray[np.uint8]:
        """Writes the states of N rows, [N, *] for each name, down at once: [N, size_bytes]."""
        return np.concatenate(
            [
                np.ascontiguousarray(states[name], dtype.newbyteorder("<"))
                .reshape(-1, math.prod(shape))
                .view(np.uint8)
                for name, shape, dtype in self.parts
            ],
            axis=1,
        )

    def unpack_rows(self, packed: Sequence[bytes]) -> State:
        """Reads the states of N rows at once, [N, *] for each name; not to be written to."""
        rows = np.frombuffer(b"".join(packed), self._record)
        # Of a single row nothing is copied.
        return {name: np.ascontiguousarray(rows[name]) for name, _, _ in self.parts}

    @cached_property
    def _record(self) -> np.dtype:
        """Of one packed state, little-endian."""
        parts = [(name, dtype.newbyteorder("<"), shape) for name, shape, dtype in self.parts]
        return np.dtype(parts)

    def halved(self, packed: bytes) -> bytes:
        """Real numbers in half precision, the rest as it is."""
        return b"".join(
            (part.astype("<f2") if part.dtype.kind == "f" else part).tobytes()
            for part in self.unpack(packed).values()
        )

    def restored(self, halved: bytes) -> bytes:
        """A packed state from what `halved` made of one."""
        state = self._short.unpack(halved)
        return self.pack({name: state[name].astype(dtype) for name, _, dtype in self.parts})

    @property
    def halved_bytes(self) -> int:
        """Of what `halved` gives."""
        return self._short.size_bytes

    @cached_property
    def _short(self) -> "Layout":
        """The same with real numbers in half precision."""
        return Layout(
            tuple(
                (name, shape, np.dtype("<f2") if dtype.kind == "f" else dtype)
                for name, shape, dtype in self.parts
            )
        )

    def is_finite(self, packed: bytes) -> bool:
        """Whether all its numbers are."""
        return all(
            bool(np.isfinite(part).all())
            for part in self.unpack(packed).values()
            if part.dtype.kind == "f"
        )
