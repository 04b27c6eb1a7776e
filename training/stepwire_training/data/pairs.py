"""Two neighbours as one number, so that a table can hold what they are together.

There are too many pairs for a number each: they share the rows of a table, by a hash that a
graph can compute too.
"""

from typing import TypeVar

from torch import Tensor

from stepwire_training.data.splitting import Ids

FACTOR = 40_503  # odd and large: pairs that differ in one of the two fall far apart

Numbers = TypeVar("Numbers", Ids, Tensor)


def pair_numbers(left: Numbers, right: Numbers, rows: int) -> Numbers:
    """The row of the table that each pair has.

    Args:
        left: int64, any shape.
        right: of the same shape.
        rows: of the table.
    """
    return (left * FACTOR + right) % rows
