"""How a tagger reads the characters of a word: a row of fixed width.

Training and serving lay characters out with the same few lines, so that what was learned
is what is read. W words, C characters of a row.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PADDING = 0  # fills a row behind the last character of its word


def spelled(words: Sequence[Sequence[int]], width: int) -> NDArray[np.int64]:
    """Characters as rows.

    A word of more than `width` characters is read by its ends, which say most about it: the
    first half of the row holds its beginning, the second half its end.

    Args:
        words: the characters' numbers, each from 1.
        width: C.

    Returns:
        [W, C], padded behind each word.
    """
    rows = np.full((len(words), width), PADDING, dtype=np.int64)
    head = width // 2
    for row, word in zip(rows, words, strict=True):
        if len(word) <= width:
            row[: len(word)] = word
        else:
            row[:head], row[head:] = word[:head], word[head - width :]
    return rows
