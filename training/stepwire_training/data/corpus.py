"""Plain text as the words that have vectors, and the parts that these are made of.

V words, the unknown one, which stands nowhere, being number 0; G parts; P numbers of a word.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer, models, normalizers

from stepwire_training.data.splitting import Ids
from stepwire_training.data.tokens import UNKNOWN, Units
from stepwire_training.data.words import Cutting, word_tokenizer
from stepwire_zoo.subwords import parts_of

UNKNOWN_WORD = 0

Texts = Sequence[Sequence[str]]  # texts as words, written as the tokenizer writes them


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Which words and which parts of words get vectors."""

    cutting: Cutting  # how texts are cut into words
    at_least: int = 5  # times a word is seen
    parts: int = 0  # of words, the commonest, at most; 0: words have no parts
    in_words: int = 4  # different words that a part must be in
    shortest: int = 3  # characters of a part
    longest: int = 6
    most_parts: int = 64  # of one word that are read
    units: Units = "syllables"  # what a character of a part is: jamo are those of NFD


class Corpus(NamedTuple):
    """Texts one behind the other, unknown words left out."""

    ids: Ids  # [T]
    owners: Ids  # [T], which text each stands in


@dataclass(frozen=True, kw_only=True)
class Known:
    """The words and parts that have vectors."""

    tokenizer: Tokenizer  # of words
    parts: Tokenizer | None  # of parts of words, if they have any
    counted: Counted
    counts: Ids  # [V], how often each word was seen
    made_of: Ids  # [V, P], what each word is made of: itself, then parts; V + G behind them

    def corpus(self, texts: Texts) -> Corpus:
        """Texts as numbers."""
        vocabulary = self.tokenizer.get_vocab()
        rows = [[vocabulary[word] for word in text if word in vocabulary] for text in texts]
        lengths = [len(row) for row in rows]
        ids = np.array([number for row in rows for number in row], np.int64)
        return Corpus(ids, np.repeat(np.arange(len(rows)), lengths))

    @property
    def words(self) -> list[str]:
        """Every word by its number."""
        vocabulary = self.tokenizer.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    def parts_in(self, word: str) -> list[int]:
        """The numbers of the known parts of a word, from V; those that are read."""
        if self.parts is None:
            return []
        first = len(self.counts)
        cut = parts_of(
            self.parts.normalizer.normalize_str(word), self.counted.shortest, self.counted.longest
        )
        found = (self.parts.token_to_id(part) for part in cut)
        return [first + number for number in found if number is not None][: self.counted.most_parts]


def count(texts: Texts, counted: Counted) -> Known:
    """Finds the words that are seen often enough, commonest first, and their parts."""
    seen = Counter(word for text in texts for word in text)
    common = [word for word, times in seen.items() if times >= counted.at_least]
    words = sorted(common, key=lambda word: (-seen[word], word))
    found = Known(
        tokenizer=word_tokenizer(words, counted.cutting, keeps_digits=True),
        parts=part_tokenizer(words, counted) if counted.parts else None,
        counted=counted,
        counts=np.array([0, *(seen[word] for word in words)]),
        made_of=np.zeros((0, 0), np.int64),
    )
    rows = [[], *([number, *found.parts_in(word)] for number, word in enumerate(words, start=1))]
    parts = found.parts.get_vocab_size() if found.parts else 0
    made_of = np.full((len(rows), max(map(len, rows))), len(rows) + parts, np.int64)
    for row, numbers in zip(made_of, rows, strict=True):
        row[: len(numbers)] = numbers
    return Known(**{**vars(found), "made_of": made_of})


def part_tokenizer(words: Sequence[str], counted: Counted) -> Tokenizer:
    """A tokenizer whose tokens are the commonest parts of words."""
    form = normalizers.NFD() if counted.units == "jamo" else normalizers.NFC()
    normalizer = normalizers.Sequence([form, normalizers.Lowercase()])
    seen = Counter(
        part
        for word in words
        for part in parts_of(normalizer.normalize_str(word), counted.shortest, counted.longest)
    )
    common = [part for part, times in seen.items() if times >= counted.in_words]
    kept = sorted(common, key=lambda part: (-seen[part], part))[: counted.parts]
    vocabulary = {part: number for number, part in enumerate(kept)}
    # Nothing is ever cut by it: parts are looked up.
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    return tokenizer
