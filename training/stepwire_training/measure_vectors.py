"""The figures of word vectors: how they agree with people, and analogies.

Q questions, V words, E values of a vector.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stepwire_training.data.batches import Worded
from stepwire_training.data.corpus import UNKNOWN_WORD, Known
from stepwire_training.data.likeness import Likeness, Question, Tests
from stepwire_training.models.word_vectors import WordVectors
from stepwire_zoo.manifest import Metric

KNOWN, MADE = "known words", "subwords too"
CLOSE = 1e-3  # what keeps 3CosMul from dividing by nothing (Levy and Goldberg, 2014)
_AT_ONCE = 256  # questions

Floats = NDArray[np.float32]


def measure_vectors(model: WordVectors, worded: Worded, published: str) -> tuple[Metric, ...]:
    """Measures every test set.

    Args:
        model: what to measure, as it is published.
        worded: the words and the sets.
        published: a figure to set beside the first.
    """
    first, *others = figures(Asked(model.published().numpy(), worded.known), worded.tests)
    return (replace(first, published=published), *others)


def figures(asked: "Asked", tests: Tests) -> list[Metric]:
    """The figures of every set."""
    metrics: list[Metric] = []
    for name, pairs in tests.pairs.items():
        metrics += asked.agreement(name, pairs)
    for name, questions in tests.questions.items():
        metrics += asked.analogies(name, questions)
    return metrics


class Asked:
    """Vectors [V + G, E] that words are looked up in."""

    def __init__(self, table: Floats, known: Known) -> None:
        self._table, self._known = table, known
        self._numbers = known.tokenizer.get_vocab()
        self._units = unit(table[: len(known.counts)])

    def written(self, word: str) -> str:
        """A word as the vocabulary writes it."""
        found: str = self._known.tokenizer.normalizer.normalize_str(word)
        return found

    def number(self, word: str) -> int:
        """The number of a word, 0 for one that has none."""
        return self._numbers.get(self.written(word), UNKNOWN_WORD)

    def vector(self, word: str) -> Floats | None:
        """The vector of a word, of its parts where it has none of its own, or nothing."""
        number = self.number(word)
        rows = [number] if number else self._known.parts_in(word)
        return self._table[rows].mean(axis=0) if rows else None

    def agreement(self, name: str, pairs: Sequence[Likeness]) -> list[Metric]:
        """How pairs are ranked, of known words and of all that have a vector."""
        known = [pair for pair in pairs if self.number(pair.first) and self.number(pair.second)]
        found = [self._rho(f"{name}, {KNOWN}", known)]
        if self._known.parts:
            found.append(self._rho(f"{name}, {MADE}", pairs))
        share = len(known) / len(pairs)
        return [*found, Metric(name="known", value=share, unit="share of pairs", split=name)]

    def _rho(self, split: str, pairs: Sequence[Likeness]) -> Metric:
        vectors = [(self.vector(pair.first), self.vector(pair.second)) for pair in pairs]
        told = [
            (float(unit(a) @ unit(b)), pair.score)
            for (a, b), pair in zip(vectors, pairs, strict=True)
            if a is not None and b is not None
        ]
        value = spearman(*map(np.array, zip(*told, strict=True))) if told else 0.0
        return Metric(name="Spearman's rho", value=value, unit="rank correlation", split=split)

    def analogies(self, name: str, questions: Sequence[Question]) -> list[Metric]:
        """How many questions of known words are answered with the word that was meant."""
        numbers = np.array([[self.number(word) for word in question] for question in questions])
        known = numbers[(numbers != UNKNOWN_WORD).all(axis=1)]
        right = np.zeros(2)
        for first in range(0, len(known), _AT_ONCE):
            right += self._right(known[first : first + _AT_ONCE])
        shares = right / max(1, len(known))
        split, share = f"{name}, {KNOWN}", len(known) / len(questions)
        return [
            Metric(name="accuracy", value=float(shares[0]), unit="share of questions", split=split),
            Metric(
                name="accuracy, 3CosMul",
                value=float(shares[1]),
                unit="share of questions",
                split=split,
            ),
            Metric(name="known", value=share, unit="share of questions", split=name),
        ]

    def _right(self, questions: NDArray[np.int64]) -> NDArray[np.float64]:
        """How many of questions [Q, 4] are right, by 3CosAdd and by 3CosMul: [2]."""
        a, b, c = (self._units[questions[:, place]] @ self._units.T for place in range(3))  # [Q, V]
        added = b - a + c
        shifted = [(1.0 + cosines) / 2.0 for cosines in (a, b, c)]
        multiplied = shifted[1] * shifted[2] / (shifted[0] + CLOSE)
        rows = np.arange(len(questions))[:, None]
        for scores in (added, multiplied):
            # Nobody asks for one of the question's own words.
            scores[rows, questions[:, :3]] = -np.inf
            scores[:, UNKNOWN_WORD] = -np.inf
        wanted = questions[:, 3]
        return np.array([(scores.argmax(axis=1) == wanted).sum() for scores in (added, multiplied)])


def unit(vectors: Floats) -> Floats:
    """Vectors [..., E] of length one; one of nothing stays so."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = vectors / np.maximum(lengths, 1e-12)
    return scaled


def spearman(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """The correlation of ranks, equals sharing theirs."""
    return float(np.corrcoef(ranks(found), ranks(wanted))[0, 1])


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place of each value in order, the mean place of all that equal it."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[places]
