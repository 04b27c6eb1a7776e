"""The words of the highest scores, and how cosines with several words become scores.

V words.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwire_server.registry.words import UNKNOWN_WORD

CLOSE = 1e-3  # what keeps 3CosMul from dividing by nothing, as its authors have it

Scores = NDArray[np.float32]  # [V]
Near = tuple[str, float]  # a word, and its score


def nearest(scores: Scores, k: int, left_out: Sequence[int], words: Sequence[str]) -> list[Near]:
    """The words of the highest scores, highest first; of equals the commoner one.

    Args:
        scores: [V].
        k: how many words, fewer if there are no more.
        left_out: numbers of words that are no answer; the unknown word never is one.
        words: V words, the commoner the earlier.
    """
    wanted = scores.astype(np.float32)  # a copy
    excluded = {UNKNOWN_WORD, *left_out}
    wanted[list(excluded)] = -np.inf
    count = min(k, len(wanted) - len(excluded))
    if count < 1:
        return []
    least = np.partition(wanted, -count)[-count]
    places = np.flatnonzero(wanted >= least)
    order = places[np.argsort(-wanted[places], kind="stable")][:count]
    return [(words[place], float(wanted[place])) for place in order.tolist()]


def added(positive: Sequence[Scores], negative: Sequence[Scores]) -> Scores:
    """3CosAdd: cosines with what is to be near, less those with what is to be far.

    Mikolov et al. (2013), as Levy and Goldberg (2014) write it.
    """
    total = np.zeros_like(positive[0])
    for cosines in positive:
        total += cosines
    for cosines in negative:
        total -= cosines
    return total


def multiplied(positive: Sequence[Scores], negative: Sequence[Scores]) -> Scores:
    """3CosMul (Levy and Goldberg, 2014): of cosines moved into [0, 1] a product, and a quotient."""
    product = np.ones_like(positive[0])
    for cosines in positive:
        product *= _shifted(cosines)
    for cosines in negative:
        product /= _shifted(cosines) + np.float32(CLOSE)
    return product


def _shifted(cosines: Scores) -> Scores:
    """Rounding may leave a cosine just outside of [-1, 1]."""
    return (1 + np.clip(cosines, -1, 1)) / np.float32(2)
