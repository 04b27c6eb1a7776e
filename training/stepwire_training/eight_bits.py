"""Tables of numbers in 8 bits a value and one scale a row.

A row r is stored as whole numbers q in [-127, 127] and a scale s, so that r = q s. A scale is a
number of half precision: it has 11 bits, q has 7, and float32 holds their product exactly. So
what was rounded this way is stored and widened again without the loss of a bit.

V rows, E values of a row.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
LEAST_SCALE = np.float16(2.0**-14)  # the least that has all of its 11 bits
MOST_SCALE = np.finfo(np.float16).max

Floats = NDArray[np.float32]


class Rows(NamedTuple):
    """A table as it is stored."""

    whole: NDArray[np.int8]  # [V, E]
    scales: NDArray[np.float16]  # [V, 1]; of columns [1, E]

    def widened(self) -> Floats:
        """The table, [V, E]."""
        found: Floats = self.whole.astype(np.float32) * self.scales.astype(np.float32)
        return found


def in_8_bits(table: Floats, along: int = -1) -> Rows:
    """Rounds a table [..., V, E]; one that was rounded before comes out as it was.

    What is beyond the largest scale, from some 8 million on, is cut there.

    Args:
        table: the numbers.
        along: the axis whose numbers have a scale in common: -1, or -2 for a table turned round.
    """
    wanted = np.abs(table).max(axis=along, keepdims=True) / np.float32(LARGEST)  # [V, 1]
    nearest = wanted.clip(LEAST_SCALE, MOST_SCALE).astype(np.float16)
    # Rounded up, so that the largest value of a row is 127 and tells the scale again.
    above = np.nextafter(nearest, MOST_SCALE)
    scales = np.where(nearest < wanted, above, nearest)
    whole = np.rint(table / scales.astype(np.float32)).clip(-LARGEST, LARGEST)
    return Rows(whole.astype(np.int8), scales)
