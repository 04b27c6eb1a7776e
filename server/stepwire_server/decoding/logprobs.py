"""What the model itself thought of the tokens, before any option was applied."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class TokenLogprobs(NamedTuple):
    """The model's own log-probabilities at one position."""

    logprob: float  # of the chosen token
    top: tuple[tuple[int, float], ...]  # likeliest tokens with theirs, best first


def pick_logprobs(
    values: NDArray[np.float64], chosen: Sequence[int], counts: Sequence[int]
) -> list[TokenLogprobs]:
    """Picks what some rows asked for.

    Args:
        values: [K, V], log-probabilities.
        chosen: [K], the token that each row chose.
        counts: [K], how many of the likeliest tokens each row wants.

    Returns:
        [K].
    """
    best = np.argsort(-values, axis=-1, kind="stable")[:, : max(counts)]
    best_values = np.take_along_axis(values, best, axis=-1)
    of_chosen = values[np.arange(len(values)), list(chosen)]
    rows = zip(of_chosen.tolist(), best.tolist(), best_values.tolist(), counts, strict=True)
    return [
        TokenLogprobs(logprob, tuple(zip(ids[:count], tops[:count], strict=True)))
        for logprob, ids, tops, count in rows
    ]
