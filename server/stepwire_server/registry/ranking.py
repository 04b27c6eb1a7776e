"""Labels with their probabilities, likeliest first."""

import math

import numpy as np
from numpy.typing import NDArray

Ranked = tuple[tuple[str, float], ...]


def ranked(logits: NDArray[np.float32], labels: tuple[str, ...], count: int) -> Ranked:
    """The likeliest labels of a text.

    Args:
        logits: [labels].
        labels: in the order of the logits.
        count: how many to give.
    """
    # For a handful of labels plain Python is quicker than arrays.
    values = logits.tolist()
    most = max(values)
    weights = [math.exp(value - most) for value in values]
    total = sum(weights)
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:count]
    return tuple((labels[index], weights[index] / total) for index in order)
