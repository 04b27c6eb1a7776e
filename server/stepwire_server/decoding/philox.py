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
    seeds: NDArray[np.uint64], samples: NDArray[np.int64], positions: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Draws one number for each row.

    Args:
        seeds: [N], all 64 bits count.
        samples: [N], which sample of its request a row is.
        positions: [N], how many tokens the row has drawn before.

    Returns:
        [N] in [0, 1), with 53 random bits.
    """
    zeros = np.zeros_like(seeds)
    counters = np.stack([positions.astype(np.uint64), samples.astype(np.uint64), zeros, zeros])
    bits = philox4x32(counters, np.stack([seeds & _LOW, seeds >> _32]))
    return ((bits[0] << _32 | bits[1]) >> np.uint64(11)).astype(np.float64) * 2.0**-53
