"""What is done to logits before a token is drawn.

Every function works row by row: a row's result never depends on the other rows.
Shapes: N rows, V vocabulary. docs/decoding.md has the same formulas for readers.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Probabilities = NDArray[np.float64]
Tokens = NDArray[np.int64]

_NEAR = 40.0  # a highest logit from which a row's sum is certainly between those
_FAR = 1e26  # sums beyond it, or its inverse, come too near to the ends of float32


class Penalties(NamedTuple):
    """What three kinds of penalty need to know of each row; a scalar a row is [N]."""

    repetition: NDArray[np.float32]
    presence: NDArray[np.float32]
    frequency: NDArray[np.float32]
    seen: NDArray[np.bool_]  # [N, V] in prompt or output
    counts: NDArray[np.int32]  # [N, V] times in the output


def penalise(logits: Logits, penalties: Penalties) -> Logits:
    """Makes tokens that were seen before less likely. Returns [N, V], a new array.

    Repetition as in CTRL (Keskar et al. 2019, section 4.1) with the sign taken into
    account, as Hugging Face does; presence and frequency as in OpenAI's API reference.
    """
    factor = penalties.repetition[:, None]
    repeated = np.where(logits > 0, logits / factor, logits * factor)
    logits = np.where(penalties.seen, repeated, logits)
    counts = penalties.counts
    logits = logits - penalties.frequency[:, None] * counts
    return (logits - penalties.presence[:, None] * (counts > 0)).astype(np.float32)


class NgramIndex:
    """Which token has followed each run of n-1 tokens; a step costs the same at any length.

    Forbidding what has followed the last n-1 tokens keeps n-grams from occurring twice
    (Paulus et al. 2017, section 2.5, for any n).
    """

    def __init__(self, size: int) -> None:
        """Makes an index of n-grams of `size` tokens, at least 1."""
        self._size = size
        self._tail: tuple[int, ...] = ()  # the last n-1 tokens, fewer at the beginning
        self._followers: dict[tuple[int, ...], list[int]] = {}

    def add(self, tokens: Iterable[int]) -> None:
        """Takes the tokens that a sequence goes on with."""
        for token in tokens:
            if len(self._tail) == self._size - 1:
                self._followers.setdefault(self._tail, []).append(token)
            self._tail = (*self._tail, token)[-(self._size - 1) :] if self._size > 1 else ()

    def repeats(self) -> list[int]:
        """The tokens that would complete an n-gram for the second time."""
        return self._followers.get(self._tail, [])


def weigh(logits: NDArray[np.float64]) -> Probabilities:
    """Turns [N, V] into weights in proportion to the probabilities; the likeliest has 1."""
    return np.exp(logits - logits.max(axis=-1, keepdims=True))


def softmax(logits: NDArray[np.float64]) -> Probabilities:
    """Turns [N, V] into probabilities that sum to 1 in each row."""
    weights = weigh(logits)
    return weights / weights.sum(axis=-1, keepdims=True)


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    """Turns [N, V] into natural logarithms of probabilities."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_sum_exp(logits: Logits) -> NDArray[np.float64]:
    """What a row's logits exceed its log-probabilities by: [N, V] to [N].

    In float32 until the sum is taken: over a large vocabulary that is most of the cost. For
    the same reason the highest is taken off only where it must be. NaN where a row has none
    that is finite, or one that is not and not -inf either.
    """
    if len(logits) == 1 and abs(logits.item(logits.argmax())) < _NEAR:  # of a caller who is alone
        return np.log(np.add.reduce(np.exp(logits), axis=-1).astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):  # where it is looked at again below
        total = np.exp(logits).sum(axis=-1).astype(np.float64)
    shift = np.zeros(len(logits))
    far = np.flatnonzero(~((total > 1 / _FAR) & (total < _FAR)))
    if len(far):
        shift[far] = logits[far].max(axis=-1)
        with np.errstate(invalid="ignore"):
            total[far] = np.exp(logits[far] - shift[far, None]).sum(axis=-1)
    return shift + np.log(total)


def bias_towards(logits: Logits, token: int, share: float) -> Logits:
    """Gives one token a share of the probability on top of its own, scaled down.

    Biased search (Arivazhagan et al. 2020, section 3.3): p' = (1 - share) p + share [token].

    Args:
        logits: [V].
        token: the wish.
        share: in [0, 1).

    Returns:
        [V], log-probabilities.
    """
    values = (logits - log_sum_exp(logits[None])[0]) + np.log1p(-share)
    values[token] = np.logaddexp(values[token], np.log(share))
    return values.astype(np.float32)


def rank(logits: Logits, most: int) -> Tokens:
    """The likeliest tokens of each row, best first; of equals the lower one.

    Args:
        logits: [N, V].
        most: how many are wanted, K.

    Returns:
        [N, K], or [N, V] if there are no more.
    """
    size = logits.shape[1]
    if 4 * most >= size:
        return np.argsort(-logits, axis=-1, kind="stable")[:, :most]
    # One more than is wanted tells whether the last has an equal that was left out.
    found = np.argpartition(logits, size - most - 1, axis=-1)[:, size - most - 1 :]
    found.sort(axis=-1)
    values = np.take_along_axis(logits, found, axis=-1)
    places = np.argsort(-values, axis=-1, kind="stable")
    order = np.take_along_axis(found, places[:, :most], axis=-1)
    last = np.take_along_axis(values, places[:, most - 1 :], axis=-1)
    for row in np.flatnonzero(last[:, 0] == last[:, 1]):
        order[row] = np.argsort(-logits[row], kind="stable")[:most]
    return order


def truncate(
    ranked: Probabilities,
    top_k: NDArray[np.int64],
    top_p: NDArray[np.float64],
    min_p: NDArray[np.float64],
) -> Probabilities:
    """Sets the probabilities that may not be drawn to zero; the likeliest always stays.

    top_k (Fan et al. 2018), then top_p of what is left (Holtzman et al. 2020, section
    3.1), then min_p (Nguyen et al. 2024, section 3).

    Args:
        ranked: [N, V], each row in falling order.
        top_k: [N], how many to keep; 0 keeps all.
        top_p: [N], in (0, 1].
        min_p: [N], in [0, 1].

    Returns:
        [N, V], not normalised.
    """
    ranks = np.arange(ranked.shape[1])
    ranked = np.where((ranks < top_k[:, None]) | (top_k[:, None] == 0), ranked, 0.0)
    sums = np.cumsum(ranked, axis=-1)  # in order: zeros behind change no bit
    total = sums[:, -1:]
    before = sums - ranked  # probability of all likelier tokens
    # Rounding must not let a top_p of 1 drop anything.
    inside = (before < top_p[:, None] * total) | (top_p[:, None] >= 1)
    ranked = np.where(inside, ranked, 0.0)
    return np.where(ranked >= min_p[:, None] * ranked[:, :1], ranked, 0.0)


def pick(weights: Probabilities, uniforms: NDArray[np.float64]) -> Tokens:
    """Draws a position of each row in proportion to its weights, by the inverse CDF.

    Args:
        weights: [N, V], at least one positive in each row.
        uniforms: [N] in [0, 1).

    Returns:
        [N], each the position of a positive weight.
    """
    sums = np.cumsum(weights, axis=-1)
    positions = (sums <= uniforms[:, None] * sums[:, -1:]).sum(axis=-1)
    for row in np.flatnonzero(positions == weights.shape[1]):
        # Rounding made the product as large as the sum itself.
        positions[row] = np.flatnonzero(weights[row])[-1]
    return positions
