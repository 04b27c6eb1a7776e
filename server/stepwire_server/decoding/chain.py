"""The tags of a sentence, each word by itself or all of them together.

T words, L labels. Sums are in float64.
"""

import numpy as np
from numpy.typing import NDArray

from stepwire_zoo import manifest

Scores = NDArray[np.float64]
Choice = tuple[NDArray[np.int64], Scores]  # the tag of each word, [T], and probabilities, [T, L]


def chosen(logits: NDArray[np.float32]) -> Choice:
    """Of each word by itself the likeliest.

    Args:
        logits: [T, L].
    """
    shares = _shares(logits.astype(np.float64))
    return logits.argmax(axis=1), shares


class Chain:
    """A linear-chain conditional random field: which tag may follow which counts as well."""

    def __init__(self, spec: manifest.Chain) -> None:
        self._starts, self._ends = np.array(spec.starts), np.array(spec.ends)  # [L]
        self._steps = np.array(spec.steps)  # [L, L], from and to

    def chosen(self, logits: NDArray[np.float32]) -> Choice:
        """The likeliest sequence of tags, and the probability of each tag over all sequences.

        Args:
            logits: [T, L].
        """
        scores = logits.astype(np.float64)
        return self._best(scores), self._marginals(scores)

    def _best(self, scores: Scores) -> NDArray[np.int64]:
        """Viterbi's algorithm: [T]."""
        reached, came_from = self._starts + scores[0], []
        for score in scores[1:]:
            ways = reached[:, None] + self._steps  # [L, L]
            came_from.append(ways.argmax(axis=0))
            reached = ways.max(axis=0) + score
        path = [int((reached + self._ends).argmax())]
        for places in reversed(came_from):
            path.append(int(places[path[-1]]))
        return np.array(path[::-1])

    def _marginals(self, scores: Scores) -> Scores:
        """The forward-backward algorithm: [T, L]."""
        ahead, back = np.empty_like(scores), np.empty_like(scores)
        ahead[0], back[-1] = self._starts + scores[0], self._ends
        for place in range(1, len(scores)):
            ahead[place] = _log_sum(ahead[place - 1][:, None] + self._steps) + scores[place]
        for place in range(len(scores) - 2, -1, -1):
            following = scores[place + 1] + back[place + 1]
            back[place] = _log_sum((self._steps + following).T)
        return _shares(ahead + back)


def _log_sum(values: Scores) -> Scores:
    """The logarithm of the sum over axis 0 of what these are logarithms of."""
    most = values.max(axis=0)
    total: Scores = most + np.log(np.exp(values - most).sum(axis=0))
    return total


def _shares(scores: Scores) -> Scores:
    """Probabilities of each row: [T, L]."""
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Scores = weights / weights.sum(axis=1, keepdims=True)
    return shares
