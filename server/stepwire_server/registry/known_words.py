"""Between words and the rows of a table that their vectors are the means of.

A word that is known has a row of its own. Another one may have parts that are known, and is
the mean of theirs; where nothing of it is known it has no vector.
"""

import enum
from functools import lru_cache
from typing import NamedTuple

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.composing import composed
from stepwire_server.registry.text import Tokenizer
from stepwire_server.registry.words import UNKNOWN_WORD
from stepwire_zoo.manifest import Subwords
from stepwire_zoo.subwords import parts_of

LONGEST_WORD = 256  # characters; of a longer one in a text the first count
_CHARACTERS_A_WORD = 1_000  # of a text within the limit of words, on average and at most
_KEPT = 50_000  # words whose rows are remembered
_KEPT_LENGTH = 40  # characters of such a word, at most


class Origin(enum.Enum):
    """What a vector is made of."""

    WORD = "word"
    SUBWORDS = "subwords"
    NONE = "none"


class Word(NamedTuple):
    """A word, and where its vector comes from."""

    text: str  # as the caller wrote it
    origin: Origin
    numbers: tuple[int, ...]  # rows of the table that it is the mean of


class Parts:
    """The parts of words that have vectors."""

    def __init__(self, tokenizer: Tokenizer, spec: Subwords, first: int, most: int) -> None:
        """Makes a reader.

        Args:
            tokenizer: knows the parts, and writes words as they do.
            spec: how long they are.
            first: number of the first row that is a part's.
            most: parts of a word that are read.
        """
        self._tokenizer, self._spec = tokenizer, spec
        self._first, self._most = first, most

    def of(self, word: str) -> tuple[int, ...]:
        """The rows of a word's known parts; of very many the first."""
        written = self._tokenizer.normalized(word)
        cut = parts_of(written, self._spec.shortest, self._spec.longest)
        found = (self._tokenizer.number(part) for part in cut)
        return tuple(self._first + it for it in found if it is not None)[: self._most]


class KnownWords:
    """Looks words up."""

    def __init__(self, tokenizer: Tokenizer, parts: Parts | None, most: int) -> None:
        """Makes a reader.

        Args:
            tokenizer: cuts texts into words, and knows some; number 0 is that of all others.
            parts: of words that it does not know, if the model has vectors of parts.
            most: words of a text.
        """
        self._tokenizer, self._parts = tokenizer, parts
        self._most = most
        self.vocabulary = tokenizer.vocabulary()  # every word by its number
        self._remembered = lru_cache(_KEPT)(self._found)

    def look_up(self, field: str, word: str) -> Word:
        """Looks one word up.

        Raises:
            InvalidRequest: it is empty, has white space in it, or is too long.
        """
        if not word or any(map(str.isspace, word)):
            raise InvalidRequest.of(field, "be one word without white space", repr(word))
        if len(word) > LONGEST_WORD:
            allowed = f"have at most {LONGEST_WORD} characters"
            raise InvalidRequest.of(field, allowed, f"{len(word)} characters")
        return self._looked_up(word)

    def cut(self, field: str, text: str) -> list[Word]:
        """Cuts a text into words and looks them up; raises InvalidRequest if it has too many."""
        self._check(field, len(text), self._most * _CHARACTERS_A_WORD, "characters")
        whole = composed(text)
        spans = whole.spans(self._tokenizer.spans(whole.text)) if text.strip() else []
        self._check(field, len(spans), self._most, "words")
        return [self._looked_up(text[first:last]) for first, last in spans]

    def _check(self, field: str, length: int, most: int, unit: str) -> None:
        if length > most:
            raise InvalidRequest.of(field, f"have at most {self._most} words", f"{length} {unit}")

    def _looked_up(self, word: str) -> Word:
        short = len(word) <= _KEPT_LENGTH
        origin, numbers = self._remembered(word) if short else self._found(word[:LONGEST_WORD])
        return Word(word, origin, numbers)

    def _found(self, word: str) -> tuple[Origin, tuple[int, ...]]:
        number = self._tokenizer.look_up(word)
        if number is not None and number != UNKNOWN_WORD:
            return Origin.WORD, (number,)
        parts = self._parts.of(word) if self._parts else ()
        return (Origin.SUBWORDS, parts) if parts else (Origin.NONE, ())
