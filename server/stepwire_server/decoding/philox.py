"""Random numbers that any replica can draw again: Philox4x32-10.

Counter-based (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3",
SC 2011): a number is a pure function of seed, sample and position, so nothing needs to be
kept, rows draw independently of their neighbours, and a resumed stream goes on with the
very same draws. Vectorised over rows: a NumPy generator for each row costs more than the
model does.
"""

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_WEYL = np.array([[0x9E3779B9], [0xBB67AE85]], np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_ROUNDS = 10

BLOCK = 16  # positions drawn at once: a scramble costs the same for one as for some hundred


def philox4x32(counters: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scrambles counters under keys.

    Args:
        counters: [4, N], 32 bits in each element.
        keys: [2, N], 32 bits in each element.

    Returns:
        [4, N], 32 random bits in each element.
    """
    even, odd = counters[0::2], counters[1::2]  # [2, N] each
    for _ in range(_ROUNDS):
        product = even * _MULTIPLIERS
        even = (product >> _32)[::-1] ^ odd ^ keys
        odd = (product & _LOW)[::-1]
        keys = (keys + _WEYL) & _LOW
    return np.stack([even[0], odd[0], even[1], odd[1]])


def uniforms(
    seeds: NDArray[np.uint64], samples: NDArray[np.int64], blocks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Draws a block of numbers for each row: those for positions block * BLOCK and on.

    Args:
        seeds: [N], all 64 bits count.
        samples: [N], which sample of its request a row is.
        blocks: [N], which block of a row's draws.

    Returns:
        [N, BLOCK] in [0, 1), with 53 random bits each.
    """
    rows, half = len(seeds), BLOCK // 2  # one scramble gives two numbers
    firsts = blocks.astype(np.uint64) * np.uint64(half)
    positions: NDArray[np.uint64] = np.add.outer(firsts, np.arange(half, dtype=np.uint64)).ravel()
    zeros = np.zeros_like(positions)
    counters = np.stack([positions, np.repeat(samples.astype(np.uint64), half), zeros, zeros])
    bits = philox4x32(counters, np.repeat(np.stack([seeds & _LOW, seeds >> _32]), half, axis=1))
    wide = np.stack([bits[0] << _32 | bits[1], bits[2] << _32 | bits[3]], axis=-1)
    return ((wide >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(rows, BLOCK)


class Draws:
    """The next number of each row, by slot; scrambles once for BLOCK positions."""

    def __init__(self, capacity: int) -> None:
        self._seeds = np.zeros(capacity, np.uint64)
        self._samples = np.zeros(capacity, np.int64)
        self._positions = np.zeros(capacity, np.int64)
        self._numbers = np.zeros((capacity, BLOCK))

    def place(self, slot: int, seed: int, sample: int, position: int) -> None:
        """Settles a row in a slot; its next number is the one for `position`."""
        self._seeds[slot] = seed
        self._samples[slot] = sample
        self._positions[slot] = position
        self._fill(np.array([slot]))

    def next(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the next number of each of [N] slots."""
        places = self._positions[slots] % BLOCK
        fresh = slots[places == 0]
        if len(fresh):
            self._fill(fresh)
        self._positions[slots] += 1
        return self._numbers[slots, places]

    def _fill(self, slots: NDArray[np.int64]) -> None:
        blocks = self._positions[slots] // BLOCK
        self._numbers[slots] = uniforms(self._seeds[slots], self._samples[slots], blocks)
