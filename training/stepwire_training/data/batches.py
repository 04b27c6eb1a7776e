"""Batches as a pure function of the step, so that a resumed run sees the very same data.

B rows, T positions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from stepwire_training.data.conllu import Sentence
from stepwire_training.data.corpus import Known
from stepwire_training.data.likeness import Tests
from stepwire_training.data.observed import Observed
from stepwire_training.data.splitting import Ids, Splitting, take_apart

PADDING = -100  # a target that counts for nothing; PyTorch's losses know it


class Batch(NamedTuple):
    """What one training step reads."""

    inputs: tuple[Tensor, ...]  # tokens [B, T]; for whole texts also lengths [B]
    # int64 [B, T] or [B], or [B, 1 + T] of what a text is and its words are; of a series
    # float32 [B, T, H, F].
    targets: Tensor
    fresh: bool  # whether the state starts anew here


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Which share of each batch this process takes."""

    rank: int = 0
    world: int = 1


class Batches(Protocol):
    """A split, cut into batches."""

    def __len__(self) -> int:
        """How many batches make one pass."""
        ...

    def batch(self, step: int, shard: Shard) -> Batch:
        """The batch of a step, counted from 0 over all passes."""
        ...


class Pair(NamedTuple):
    """A sentence and its translation, as plain text."""

    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Translations:
    """Held-out sentences with their translations."""

    tokenizer: Tokenizer  # of the translations
    source_tokenizer: Tokenizer  # the same, unless the languages have vocabularies of their own
    begin: int
    end: int
    unknown: int
    dev: list[Pair]
    tests: dict[str, list[Pair]]  # by name
    cut: str = "13a"  # how sacrebleu cuts texts into words
    free: bool = False  # whether many texts would do: perplexity is measured then, not BLEU

    @property
    def own_source_tokenizer(self) -> Tokenizer | None:
        """That of the sources, if it is another."""
        shared = self.source_tokenizer is self.tokenizer
        return None if shared else self.source_tokenizer

    @property
    def suppressed(self) -> tuple[int, ...]:
        """Tokens that are never written."""
        return self.unknown, self.begin


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """What a tagger reads beside words, and the sentences that it is measured on."""

    characters: Tokenizer  # cuts words into characters; number 0 pads
    width: int  # characters that are read of a word, C
    test: list[Sentence]
    others: dict[str, list[Sentence]]  # of other treebanks, by the name of the split
    unit: str = "words"  # what is tagged: "words" or "characters"
    text_labels: tuple[str, ...] = ()  # of whole sentences, where they have some

    @property
    def finds_words(self) -> bool:
        """Whether texts have words that are found otherwise than by the spaces between them."""
        spaced = all(space for sentence in self.test for space in sentence.spaced[:-1])
        return self.unit == "words" and not spaced


@dataclass(frozen=True, kw_only=True)
class Worded:
    """What only word vectors have: the words, and what vectors are measured on."""

    known: Known
    tests: Tests


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set, ready to train on."""

    tokenizer: Tokenizer | None  # None for a series
    labels: tuple[str, ...]  # empty for a language model
    train: Batches
    dev: Batches  # chooses the best weights
    test: Batches  # measured once, at the end
    facts: dict[str, float]  # counts for the card
    words: int = 0  # of the test text, where perplexity is told by words and not by tokens
    vectors: Callable[[], Any] | None = None  # what a model begins from (see begin_from)
    translations: "Translations | None" = None  # of a translator: what BLEU is measured on
    series: Observed | None = None  # of a forecaster
    tagging: "Tagging | None" = None  # of a tagger
    worded: "Worded | None" = None  # of word vectors

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Tokens, labels, and tokens of what has a vocabulary of its own, or 0.

        Those are sources of a translator, characters of a tagger and parts of words.

        For a series: its columns, the rows ahead that are predicted, and 0.
        """
        if self.series:
            return len(self.series.columns), self.series.horizon, 0
        translations = self.translations
        own = translations.own_source_tokenizer if translations else None
        own = self.tagging.characters if self.tagging else own
        own = self.worded.known.parts if self.worded else own
        return (
            self.tokenizer.get_vocab_size() if self.tokenizer else 0,
            len(self.labels),
            own.get_vocab_size() if own else 0,
        )


class TextStream:
    """One long text as rows read side by side, so that state carries from chunk to chunk."""

    def __init__(self, ids: Ids, rows: int, length: int, seed: int | None = None) -> None:
        """Cuts a text into rows.

        Args:
            ids: [characters].
            rows: texts read side by side.
            length: positions of a chunk, T.
            seed: shifts where the rows begin, anew each pass; None keeps the text in order.
        """
        self.ids = ids
        self._rows, self._length, self._seed = rows, length, seed
        self._width = (len(ids) - 1) // rows  # positions of a row
        if self._width < 1:
            raise ValueError(f"{len(ids)} tokens are too few for {rows} rows")

    def __len__(self) -> int:
        return -(-self._width // self._length)

    def batch(self, step: int, shard: Shard) -> Batch:
        """Chunk of a step: tokens and targets int64 [B / world, T]."""
        number, chunk = divmod(step, len(self))
        first = chunk * self._length
        last = min(first + self._length, self._width)
        starts = np.arange(self._rows)[shard.rank :: shard.world, None] * self._width
        positions = self._shift(number) + starts + np.arange(first, last + 1)
        window = torch.from_numpy(self.ids[positions % len(self.ids)])
        return Batch((window[:, :-1],), window[:, 1:], fresh=chunk == 0)

    def _shift(self, number: int) -> int:
        if self._seed is None:
            return 0
        return int(np.random.default_rng([self._seed, number]).integers(len(self.ids)))


def by_length(lengths: Ids, rows: int, pool: int, rng: np.random.Generator | None) -> list[Ids]:
    """The rows of every batch of one pass, each with others of about their length.

    Args:
        lengths: [N].
        rows: of a batch.
        pool: batches sorted by length together: little padding, still well mixed.
        rng: mixes the rows; None leaves them in the order of their lengths.
    """
    if rng is None:
        return _cut(np.argsort(lengths, kind="stable"), rows)
    mixed = rng.permutation(len(lengths))
    batches: list[Ids] = []
    for first in range(0, len(mixed), pool * rows):
        part = mixed[first : first + pool * rows]
        batches += _cut(part[np.argsort(lengths[part], kind="stable")], rows)
    return [batches[index] for index in rng.permutation(len(batches))]


def _cut(order: Ids, rows: int) -> list[Ids]:
    return [order[first : first + rows] for first in range(0, len(order), rows)]


class LabelledTexts:
    """Texts with labels, batched with others of about their length."""

    POOL = 50  # batches sorted by length together: little padding, still well mixed

    def __init__(
        self,
        texts: Sequence[Ids],
        labels: Ids,
        rows: int,
        seed: int | None = None,
        splitting: Splitting | None = None,
    ) -> None:
        """Keeps the texts; a seed mixes them anew each pass, None keeps them by length."""
        self._texts, self._labels, self._rows, self._seed = texts, labels, rows, seed
        self._splitting = splitting
        self._lengths = np.array([len(text) for text in texts])
        self._order: tuple[int, list[Ids]] = (-1, [])

    def __len__(self) -> int:
        return -(-len(self._texts) // self._rows)

    def batch(self, step: int, shard: Shard) -> Batch:
        """Texts of a step: tokens int64 [B / world, T], lengths and targets [B / world]."""
        number, place = divmod(step, len(self))
        if self._order[0] != number:
            self._order = (number, self._batches(number))
        chosen = self._order[1][place]
        # A last batch of fewer texts than processes is read whole by each.
        chosen = chosen[shard.rank :: shard.world] if len(chosen) >= shard.world else chosen
        texts = [torch.from_numpy(text) for text in self._varied(chosen, step)]
        tokens = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
        lengths = torch.tensor([len(text) for text in texts])
        return Batch((tokens, lengths), torch.from_numpy(self._labels[chosen]), fresh=True)

    def _varied(self, chosen: Ids, step: int) -> list[Ids]:
        """The texts of a batch, their tokens taken apart if that is wanted."""
        texts = [self._texts[index] for index in chosen]
        if self._splitting is None or self._seed is None or self._splitting.rate == 0.0:
            return texts
        rng = np.random.default_rng([self._seed, step, int(chosen[0])])
        return [take_apart(text, self._splitting, rng) for text in texts]

    def _batches(self, number: int) -> list[Ids]:
        """The rows of every batch of one pass."""
        rng = None if self._seed is None else np.random.default_rng([self._seed, number])
        return by_length(self._lengths, self._rows, self.POOL, rng)
