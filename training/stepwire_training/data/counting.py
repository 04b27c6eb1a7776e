"""What n-grams are smoothed by: counts, discounts, and a table that finds a context exactly.

Interpolated, modified Kneser-Ney smoothing (Chen and Goodman, 1998): the longest n-grams are
counted as they come, shorter ones by how many different tokens came before them.

T tokens of a text, V of the vocabulary, K = n - 1 tokens of the longest context, C contexts, E
tokens seen after contexts, M buckets of contexts.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stepwire_training.data.batches import Dataset, TextStream
from stepwire_training.data.splitting import Ids

NONE = 0  # the number of no context: nothing came after it, and all is left to the shorter one
IN_A_BUCKET = 4  # contexts, on the average
LARGEST_KEY = 2**62
# Where some counts never come, their discounts are guessed: those of half, one and one and a half.
GUESSED = (0.5, 1.0, 1.5)
LEAST = 0.1  # of a discount: what never came must stay possible


Reals = NDArray[np.float32]
Small = NDArray[np.int32] | NDArray[np.uint8]  # whole numbers


class Text(Protocol):
    """Names a text and how it is cut into batches."""

    def load(self) -> Dataset:
        """Reads it."""
        ...


@dataclass(frozen=True, kw_only=True)
class CountedText:
    """A text that is counted: what a model begins from is all of its training split."""

    text: Text

    def load(self) -> Dataset:
        """Reads the text."""
        dataset = self.text.load()
        assert isinstance(dataset.train, TextStream)
        ids = dataset.train.ids
        return replace(dataset, vectors=lambda: ids)


class Table(NamedTuple):
    """Everything that a prediction needs.

    Contexts are numbered from 1 in the order of their buckets.
    """

    base: Reals  # [V] probabilities where nothing is known of what came before
    left: Reals  # [1 + C] what the discounts of a context left over
    first: Small  # [2 + C] where the tokens begin that came after each context
    tokens: Small  # [E + 1], one that nobody reads behind them
    seen: Reals  # [E + 1] the discounted share of each
    buckets: Small  # [M + 1] where the contexts of each bucket begin
    quotients: Small  # [C + 1] of the key of each context by M


def keys_of(behind: Tensor, vocabulary: int) -> Tensor:
    """Keys of the contexts of 1 to K tokens, int64 [..., K], each another number.

    A key is its remainder by M, which is its bucket, and its quotient: a context is found or it
    is not, and none is taken for another.

    Args:
        behind: the last tokens, newest first, each plus 1, and 0 where there is none: [..., K].
        vocabulary: V.
    """
    powers, apart = digits(behind.shape[-1], vocabulary)
    return (behind * torch.from_numpy(powers)).cumsum(dim=-1) + torch.from_numpy(apart)


def digits(longest: int, vocabulary: int) -> tuple[Ids, Ids]:
    """What a place of a context counts in its key, and what sets lengths apart: [K] each.

    A context of k tokens and one of k + 1 whose oldest is none have the same digits.
    """
    base = vocabulary + 1
    if base**longest * (longest + 1) > LARGEST_KEY:
        raise ValueError(f"order must be lower for {vocabulary} tokens, got {longest + 1}")
    powers = base ** np.arange(longest, dtype=np.int64)
    return powers, base**longest * np.arange(1, longest + 1, dtype=np.int64)


def count(text: Ids, order: int, vocabulary: int) -> Table:
    """Counts a text [T]."""
    shorter = [_discounted(text, size, order, vocabulary) for size in range(1, order + 1)]
    base = np.full(vocabulary, (shorter[0].left.sum() or 1.0) / vocabulary)
    base[shorter[0].tokens] += shorter[0].shares
    _, apart = digits(order - 1, vocabulary)
    keys = np.concatenate([c.contexts + a for c, a in zip(shorter[1:], apart, strict=True)])
    buckets = max(1, len(keys) // IN_A_BUCKET)
    by_bucket = np.argsort(keys % buckets, kind="stable")
    sizes = np.concatenate([counted.sizes for counted in shorter[1:]])
    begins = np.cumsum(sizes) - sizes
    sizes, keys = sizes[by_bucket], keys[by_bucket]
    first = np.cumsum(np.concatenate([[0], sizes]))
    # Entries follow their contexts to where these have gone.
    moved = np.arange(first[-1]) + np.repeat(begins[by_bucket] - first[:-1], sizes)
    quotients = keys // buckets
    assert quotients.max(initial=0) < 2**31
    left = np.concatenate([counted.left for counted in shorter[1:]])[by_bucket]
    return Table(
        base=base.astype(np.float32),
        left=np.concatenate([[1.0], left]).astype(np.float32),
        first=np.concatenate([[0], first]).astype(np.int32),
        tokens=_with_one_more(
            shorter, "tokens", moved, np.uint8 if vocabulary <= 256 else np.int32
        ),
        seen=_with_one_more(shorter, "shares", moved, np.float32),
        buckets=np.searchsorted(keys % buckets, np.arange(buckets + 1)).astype(np.int32),
        quotients=np.append(quotients, -1).astype(np.int32),
    )


class _Counted(NamedTuple):
    """N-grams of one size, sorted by context."""

    contexts: Ids  # [C] their digits
    sizes: Ids  # [C] how many tokens came after each
    left: NDArray[np.float64]  # [C] what the discounts left over
    tokens: Ids  # [E]
    shares: NDArray[np.float64]  # [E]


def _with_one_more(counted: list[_Counted], name: str, moved: Ids, kind: type[Any]) -> Any:
    """What is known of the tokens after all contexts, in their new order."""
    whole = np.concatenate([getattr(each, name) for each in counted[1:]])
    return np.append(whole[moved], 0).astype(kind)


def _discounted(text: Ids, size: int, order: int, vocabulary: int) -> _Counted:
    """Counts the n-grams of one size."""
    base = vocabulary + 1
    if size == order:
        grams, counts = np.unique(_grams(text, size, base), return_counts=True)
    else:
        longer = np.unique(_grams(text, size + 1, base))
        grams, counts = np.unique(longer % base**size, return_counts=True)
    discounts = discounts_of(counts)[np.minimum(counts, 3)]
    # The newest token is the last digit, so that n-grams of one context stand together.
    contexts, which, sizes = np.unique(grams // base, return_inverse=True, return_counts=True)
    totals = np.bincount(which, counts)
    return _Counted(
        contexts=contexts,
        sizes=sizes,
        left=np.bincount(which, discounts) / totals,
        tokens=grams % base - 1,
        shares=(counts - discounts) / totals[which],
    )


def _grams(text: Ids, size: int, base: int) -> Ids:
    """The n-grams of a text as numbers, their newest token the last digit."""
    places = max(0, len(text) - size + 1)
    result = np.zeros(places, np.int64)
    for back in range(size):
        start = size - 1 - back
        result += (text[start : start + places] + 1) * base**back
    return result


def discounts_of(counts: Ids) -> NDArray[np.float64]:
    """What is taken off counts of 0, 1, 2 and 3 or more (Chen and Goodman, 1998, equation 26)."""
    ones, twos, threes, fours = (int((counts == n).sum()) for n in (1, 2, 3, 4))
    if min(ones, twos, threes, fours) == 0:
        return np.array([0.0, *GUESSED])
    y = ones / (ones + 2 * twos)
    found = [1 - 2 * y * twos / ones, 2 - 3 * y * threes / twos, 3 - 4 * y * fours / threes]
    return np.array([0.0, *np.clip(found, LEAST, (1.0, 2.0, 3.0))])
