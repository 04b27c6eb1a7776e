"""Takes BPE tokens apart at random, so that a word reaches the model in many spellings.

As in BPE-dropout (Provilkov et al., 2020), but the draw is ours: it can be repeated, which
an exact resume needs, and it costs a few array operations instead of a second tokenizing.
"""

import json
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]

WHOLE = -1  # stands where a token has no second part


class Splitting(NamedTuple):
    """How tokens are taken apart."""

    into: Ids  # [V, 2] (see parts)
    rate: float  # share of tokens split; of their parts half as many, and so on


def parts(tokenizer: Tokenizer) -> Ids:
    """The two tokens each token was merged from, [V, 2]; for others itself and WHOLE."""
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = model["vocab"]
    result = np.full((len(vocabulary), 2), WHOLE, dtype=np.int64)
    result[:, 0] = np.arange(len(vocabulary))
    for left, right in model.get("merges", []):
        result[vocabulary[left + right]] = vocabulary[left], vocabulary[right]
    return result


def take_apart(ids: Ids, splitting: Splitting, rng: np.random.Generator) -> Ids:
    """Splits tokens at random into those they were merged from, and these again.

    Args:
        ids: [T].
        splitting: what tokens split into, and how often.
        rng: decides which.

    Returns:
        [T or more].
    """
    into, rate = splitting
    chosen = (rng.random(len(ids)) < rate) & (into[ids, 1] != WHOLE)  # [T]
    if not chosen.any():
        return ids
    pairs = np.stack([ids, np.full_like(ids, WHOLE)], axis=1)  # [T, 2]
    pairs[chosen] = into[ids[chosen]]
    return take_apart(pairs[pairs != WHOLE], Splitting(into, 0.5 * rate), rng)
