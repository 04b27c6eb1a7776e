"""Between text and the words that a tagger reads.

Where a graph reads one character of a word, characters are its words, white space with them.
T words, C characters of a word. Places in texts are counted in Unicode code points.
"""

import asyncio
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.composing import composed
from stepwire_server.registry.text import Tokenizer, are_long
from stepwire_zoo.spelling import PADDING, spelled

UNKNOWN_WORD = 0
MOST_CHARACTERS = 1 << 20  # of a word; more than any text may have
_CHARACTERS_A_WORD = 1_000  # of a text within the limit of words, on average and at most
_PARTS_A_CHARACTER = 4  # code points that may be composed to one
_KEPT = 50_000  # words whose numbers are remembered
_KEPT_LENGTH = 40  # characters of such a word, at most

Input = str | Sequence[str]  # a text, or its words


class Cut(NamedTuple):
    """A text as words."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]  # where each begins and ends
    numbers: NDArray[np.int64]  # [T, 1 + C]: of each word, then of its characters
    truncated: bool
    unsaid: frozenset[int] = frozenset()  # places of words that are read, and not told of


class Found(NamedTuple):
    """The words of a text within the limits."""

    words: list[str]
    spans: list[tuple[int, int]]
    whole: bool  # whether these are all


class Spelling:
    """How the graph reads a word."""

    def __init__(self, tokenizer: Tokenizer, characters: Tokenizer, width: int) -> None:
        self._tokenizer, self._characters, self._width = tokenizer, characters, width

    def read(self, word: str) -> tuple[int, ...]:
        """The number of a word, then those of its characters: 1 + C numbers."""
        number = self._tokenizer.look_up(word)
        [(characters, _)] = self._characters.encode_now(["word"], [word])
        [row] = spelled([characters], self._width).tolist()
        return (UNKNOWN_WORD if number is None else number, *row)


class Words:
    """Cuts texts into words, and says how the graph reads each."""

    def __init__(self, tokenizer: Tokenizer, characters: Tokenizer, most: int, width: int) -> None:
        """Makes a reader.

        Args:
            tokenizer: cuts texts into words, and knows some.
            characters: cuts words into characters.
            most: words of a text.
            width: characters that the graph reads of a word, C.
        """
        self._tokenizer, self._width = tokenizer, width
        self._most = most
        self._of_characters = width == 1
        a_word = _PARTS_A_CHARACTER if self._of_characters else _CHARACTERS_A_WORD
        self._most_characters = self._most * a_word
        self._spelling = Spelling(tokenizer, characters, width)
        self._remembered = lru_cache(_KEPT)(self._spelling.read)

    async def cut_all(self, inputs: Sequence[Input], *, truncate: bool) -> list[Cut]:
        """Cuts texts, beside the event loop if it takes long.

        Args:
            inputs: texts, or their words.
            truncate: keep the first words of what is over the limit.

        Raises:
            InvalidRequest: one has too many words or characters, or a word that is none.
        """
        flat = [part for given in inputs for part in _parts(given)]
        if are_long(flat):
            return await asyncio.to_thread(self.cut_now, inputs, truncate)
        return self.cut_now(inputs, truncate)

    @property
    def nothing(self) -> NDArray[np.int64]:
        """What stands for a text without words: one that is unknown and has no characters."""
        return np.full((1, 1 + self._width), [UNKNOWN_WORD, *[PADDING] * self._width])

    def encode_now(
        self, fields: Sequence[str], texts: Sequence[str], *, truncate: bool = False
    ) -> list[tuple[NDArray[np.int64], bool]]:
        """The numbers of texts' words, [T, 1 + C], and of each whether it was cut.

        Raises:
            InvalidRequest: one has too many words or characters.
        """
        cuts = [
            self._read(self._found(field, text, truncate))
            for field, text in zip(fields, texts, strict=True)
        ]
        return [(cut.numbers, cut.truncated) for cut in cuts]

    async def encode(self, field: str, text: str) -> NDArray[np.int64]:
        """Does what `encode_now` does for one text, beside the event loop if it takes long."""
        if are_long([text]):
            [(numbers, _)] = await asyncio.to_thread(self.encode_now, [field], [text])
        else:
            [(numbers, _)] = self.encode_now([field], [text])
        return numbers

    def cut_now(self, inputs: Sequence[Input], truncate: bool) -> list[Cut]:
        """The same, at once."""
        return [
            self._cut(f"inputs[{index}]", given, truncate) for index, given in enumerate(inputs)
        ]

    def _cut(self, field: str, given: Input, truncate: bool) -> Cut:
        if not isinstance(given, str):
            return self._read(self._given(f"{field}.words.words", given, truncate))
        cut = self._read(self._found(f"{field}.text", given, truncate))
        # Nobody asks what the space between two words of a text is.
        return cut._replace(unsaid=frozenset(n for n, w in enumerate(cut.words) if w.isspace()))

    def _read(self, found: Found) -> Cut:
        """Words as the graph reads them."""
        words, spans, whole = found
        numbers = np.array([self._numbers(word) for word in words], np.int64)
        return Cut(
            tuple(words),
            tuple(spans),
            numbers.reshape(len(words), 1 + self._width),
            truncated=not whole,
        )

    def _found(self, field: str, text: str, truncate: bool) -> Found:
        """The words of a text."""
        if not truncate:
            self._check(field, len(text), self._most_characters, "characters")
        whole = composed(text[: self._most_characters])
        spans = whole.spans(self._tokenizer.spans(whole.text)) if text.strip() else []
        if not truncate:
            self._check(field, len(spans), self._most, self._unit)
        complete = len(spans) <= self._most and len(text) <= self._most_characters
        spans = spans[: self._most]
        return Found([text[first:last] for first, last in spans], spans, complete)

    def _given(self, field: str, words: Sequence[str], truncate: bool) -> Found:
        """Words that a caller has cut."""
        if not words:
            raise InvalidRequest.of(field, "hold at least one word", "none")
        if not truncate:
            self._check(field, len(words), self._most, self._unit)
        kept = list(words[: self._most])
        self._check(field, sum(map(len, kept)), self._most_characters, "characters")
        for index, word in enumerate(kept):
            if self._of_characters and not _is_character(word):
                raise InvalidRequest.of(f"{field}[{index}]", "be one character", repr(word))
            if not self._of_characters and not word.strip():
                allowed = "hold a character that is not white space"
                raise InvalidRequest.of(f"{field}[{index}]", allowed, repr(word))
        between = 0 if self._of_characters else 1
        return Found(kept, _joined(kept, between), len(words) == len(kept))

    @property
    def _unit(self) -> str:
        return "characters" if self._of_characters else "words"

    def _check(self, field: str, length: int, most: int, unit: str) -> None:
        if length > most:
            allowed = f"have at most {self._most} {self._unit}"
            raise InvalidRequest.of(field, allowed, f"{length} {unit}")

    def _numbers(self, word: str) -> tuple[int, ...]:
        return self._remembered(word) if len(word) <= _KEPT_LENGTH else self._spelling.read(word)


def _parts(given: Input) -> Sequence[str]:
    return [given] if isinstance(given, str) else given


def _is_character(word: str) -> bool:
    """Whether it is one, however it is written."""
    return len(word) == 1 or len(unicodedata.normalize("NFC", word)) == 1


def _joined(words: Sequence[str], between: int) -> list[tuple[int, int]]:
    """Where words would stand in a text with so many spaces between them."""
    starts = [0, *accumulate(len(word) + between for word in words)]
    return [(start, start + len(word)) for start, word in zip(starts, words, strict=False)]
