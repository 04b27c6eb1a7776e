"""Vectors of words: what `embed()`, `neighbors()` and `analogy()` take and give."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class VectorOrigin(StrEnum):
    """What a word's vector is made of."""

    WORD = "word"  # the model learned one for this word
    SUBWORDS = "subwords"  # it did not; those of the word's parts stand for it
    NONE = "none"  # nothing of the word is known: it has no vector
    UNKNOWN = "unknown"  # the server is newer than this client


@dataclass(frozen=True, kw_only=True)
class EmbeddedWord:
    """A word, and where its vector comes from."""

    text: str  # as it was given, or stands in the text
    origin: VectorOrigin


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The vector of a word or of a text."""

    vector: tuple[float, ...]  # empty where no word has one
    words: tuple[EmbeddedWord, ...]  # the word, or those of the text


@dataclass(frozen=True, kw_only=True)
class Neighbor:
    """A word that the model knows, and how near it is."""

    word: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Neighborhood:
    """A word and what is near it."""

    word: EmbeddedWord
    neighbors: tuple[Neighbor, ...]  # nearest first; none where the word has no vector


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to be near to, and what to be far from: king and woman, and man."""

    positive: Sequence[str]
    negative: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Analogy:
    """What fits a question."""

    answers: tuple[Neighbor, ...]  # best first; none where a word has no vector
    words: tuple[EmbeddedWord, ...]  # the positive ones, then the negative ones

    @property
    def missing(self) -> tuple[str, ...]:
        """The words that have no vector, because of which there is no answer."""
        return tuple(word.text for word in self.words if word.origin is VectorOrigin.NONE)
