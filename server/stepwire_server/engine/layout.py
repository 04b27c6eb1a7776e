"""A model's state as one string of bytes, which is how idle sessions keep it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from stepwire_server.engine.slots import State
from stepwire_zoo.manifest import State as StateSpec


@dataclass(frozen=True)
class Layout:
    """Names, shapes and types of a state's parts, in the order of the manifest."""

    parts: tuple[tuple[str, tuple[int, ...], np.dtype], ...]

    @classmethod
    def of(cls, states: Sequence[StateSpec]) -> Self:
        """The layout of a graph's states."""
        return cls(tuple((s.input, tuple(s.shape), np.dtype(s.dtype)) for s in states))

    @property
    def size_bytes(self) -> int:
        """Of a packed state."""
        return sum(math.prod(shape) * dtype.itemsize for _, shape, dtype in self.parts)

    def pack(self, state: State) -> bytes:
        """Writes a state, [*] for each name, down; little-endian."""
        return b"".join(
            np.ascontiguousarray(state[name], dtype.newbyteorder("<")).tobytes()
            for name, _, dtype in self.parts
        )

    def unpack(self, packed: bytes) -> State:
        """Reads a state; its arrays cannot be written to."""
        state, start = {}, 0
        for name, shape, dtype in self.parts:
            count = math.prod(shape)
            flat = np.frombuffer(packed, dtype.newbyteorder("<"), count, start)
            state[name] = flat.reshape(shape)
            start += count * dtype.itemsize
        return state

    def halved(self, packed: bytes) -> bytes:
        """Real numbers in half precision, the rest as it is."""
        return b"".join(
            (part.astype("<f2") if part.dtype.kind == "f" else part).tobytes()
            for part in self.unpack(packed).values()
        )

    def restored(self, halved: bytes) -> bytes:
        """A packed state from what `halved` made of one."""
        short = Layout(
            tuple(
                (name, shape, np.dtype("<f2") if dtype.kind == "f" else dtype)
                for name, shape, dtype in self.parts
            )
        )
        state = short.unpack(halved)
        return self.pack({name: state[name].astype(dtype) for name, _, dtype in self.parts})

    def halved_bytes(self) -> int:
        """Of what `halved` gives."""
        return sum(
            math.prod(shape) * (2 if dtype.kind == "f" else dtype.itemsize)
            for _, shape, dtype in self.parts
        )

    def is_finite(self, packed: bytes) -> bool:
        """Whether all its numbers are."""
        return all(
            bool(np.isfinite(part).all())
            for part in self.unpack(packed).values()
            if part.dtype.kind == "f"
        )
