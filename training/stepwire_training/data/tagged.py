"""Sentences with a tag for every word: their vocabularies, their splits, their batches.

B rows, T positions, C characters of a word.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from stepwire_training.data import words, writing
from stepwire_training.data.batches import PADDING, Batch, Dataset, Shard, Tagging, by_length
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.pairs import pair_numbers
from stepwire_training.data.sided_vectors import sided_vectors
from stepwire_training.data.splitting import Ids
from stepwire_zoo.spelling import spelled

EVALUATION_ROWS = 64
AT_LEAST = 2  # times that a word or a character must be seen in training to be known


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How words become numbers."""

    cutting: words.Cutting
    vocabulary: int  # words with a number of their own, the unknown with them
    vectors: int  # values of a word's fixed vector
    characters: int  # of a word, C
    rows: int  # sentences of a batch
    # A word seen n times in training is read as unknown this often, divided by this + n, so
    # that the unknown is met with rare words' neighbours.
    forget: float = 0.25
    # Of two neighbours a fixed vector too, in a table of so many rows; 0: none.
    pairs: int = 0
    # So many sentences that follow one another are learned from as one text as well.
    together: int = 1
    seed: int  # mixes the sentences anew each pass

    @property
    def unit(self) -> str:
        """What a word is called where it is counted."""
        return "characters" if self.cutting == "characters" else "words"


@dataclass(frozen=True)
class Splits:
    """A treebank, and text without tags that words are known from."""

    train: list[Sentence]
    dev: list[Sentence]
    test: list[Sentence]
    untagged: list[list[str]] = field(default_factory=list)  # words of sentences
    others: dict[str, list[Sentence]] = field(default_factory=dict)  # of other treebanks


class Known(NamedTuple):
    """What a tagger begins from."""

    vectors: Tensor  # of words, float32 [V, E]
    parts: Tensor  # of characters, float32 [A, P] (see writing.made_of)
    pairs: Tensor | None = None  # of two neighbours, float32 [M, E] (see pairs.py)


class Vocabulary(NamedTuple):
    """The numbers of words, characters and tags."""

    words: Tokenizer
    characters: Tokenizer
    tags: tuple[str, ...]
    width: int  # characters of a word, C
    labels: tuple[str, ...] = ()  # of whole sentences, where they have some


def split(splits: Splits, reading: Reading) -> Dataset:
    """Makes a data set; a sentence that is also in the test split teaches nothing here."""
    hidden = {sentence.words for sentence in splits.test}
    train = [sentence for sentence in splits.train if sentence.words not in hidden]
    vocabulary = build(train, splits.untagged, reading)
    encode = Encoder(vocabulary)
    texts, several = encode(train), joined(train, reading.together)
    counts = np.bincount(
        np.concatenate([text.words for text in texts]), minlength=vocabulary.words.get_vocab_size()
    )
    numbers = vocabulary.words.get_vocab()
    plain, unit = Normalized(vocabulary.words), reading.unit
    unseen = [plain[word] for s in splits.test for word in s.words]
    return Dataset(
        tokenizer=vocabulary.words,
        labels=vocabulary.tags,
        train=TaggedTexts(
            [*texts, *encode(several)],
            reading.rows,
            reading.seed,
            reading.forget / (reading.forget + np.maximum(counts, 1)),
        ),
        dev=TaggedTexts(encode(splits.dev), EVALUATION_ROWS),
        test=TaggedTexts(encode(splits.test), EVALUATION_ROWS),
        facts={
            "training sentences": len(train),
            f"training {unit}": sum(len(s.words) for s in train),
            "dev sentences": len(splits.dev),
            "test sentences": len(splits.test),
            f"test {unit}": len(unseen),
            f"test {unit} without a number of their own": sum(w not in numbers for w in unseen),
            "training sentences dropped as also in test": len(splits.train) - len(train),
            f"{unit} of text without tags": sum(map(len, splits.untagged)),
        },
        vectors=partial(_known, texts, splits.untagged, vocabulary, reading),
        tagging=Tagging(
            characters=vocabulary.characters,
            width=reading.characters,
            test=splits.test,
            others=splits.others | _read_on(splits.test, reading.together),
            unit=unit,
            text_labels=vocabulary.labels,
        ),
    )


def joined(sentences: Sequence[Sentence], count: int) -> list[Sentence]:
    """Texts of so many sentences that follow one another; none of a single one."""
    if count == 1:
        return []
    parts = (sentences[first : first + count] for first in range(0, len(sentences), count))
    return [
        Sentence(
            words=tuple(chain.from_iterable(sentence.words for sentence in part)),
            tags=tuple(chain.from_iterable(sentence.tags for sentence in part)),
            spaced=tuple(chain.from_iterable(sentence.spaced for sentence in part)),
        )
        for part in parts
        if len(part) == count
    ]


def _read_on(test: Sequence[Sentence], count: int) -> dict[str, list[Sentence]]:
    """The test split as texts of several sentences, if such were learned from."""
    return {f"test, {count} sentences a text": joined(test, count)} if count > 1 else {}


def build(train: list[Sentence], untagged: list[list[str]], reading: Reading) -> Vocabulary:
    """Numbers for what training knows.

    Words that are seen often enough in the tagged sentences come first, the commonest first:
    a model may learn more about them. Others follow, the commonest first too.
    """
    plain = Normalized(words.word_tokenizer([], reading.cutting))
    tagged = Counter(plain[word] for s in train for word in s.words)
    every = tagged + Counter(plain[word] for text in untagged for word in text)
    first = [word for word in _commonest(tagged) if tagged[word] >= AT_LEAST]
    others = [word for word in _commonest(every) if tagged[word] < AT_LEAST <= every[word]]
    chosen = [*first, *others][: reading.vocabulary - 1]
    spelling = Normalized(words.character_tokenizer([], reading.cutting))
    characters = Counter(char for s in train for word in s.words for char in spelling[word])
    return Vocabulary(
        words.word_tokenizer(chosen, reading.cutting),
        words.character_tokenizer(
            sorted(c for c, n in characters.items() if n >= AT_LEAST), reading.cutting
        ),
        tuple(sorted({tag for sentence in train for tag in sentence.tags})),
        reading.characters,
        tuple(sorted({sentence.label for sentence in train} - {""})),
    )


class Normalized(dict[str, str]):
    """Words as they are looked up; each is worked out once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._normalizer = tokenizer.normalizer

    def __missing__(self, word: str) -> str:
        self[word] = self._normalizer.normalize_str(word)
        return self[word]


class Encoded(NamedTuple):
    """A sentence in numbers."""

    words: Ids  # [T]
    characters: Ids  # [T, C]
    # Tags of every word, [T], before them the label of a sentence that has one; PADDING for
    # what training does not know.
    targets: Ids


class Encoder:
    """Turns sentences into numbers."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._plain = Normalized(vocabulary.words)
        self._numbers = vocabulary.words.get_vocab()
        self._tags = {tag: number for number, tag in enumerate(vocabulary.tags)}
        self._labels = {label: number for number, label in enumerate(vocabulary.labels)}

    def __call__(self, sentences: Sequence[Sentence]) -> list[Encoded]:
        """All of them, in their order."""
        every = sorted({word for sentence in sentences for word in sentence.words})
        encodings = self._vocabulary.characters.encode_batch(every)
        rows = spelled([encoding.ids for encoding in encodings], self._vocabulary.width)
        places = {word: place for place, word in enumerate(every)}
        return [
            Encoded(
                np.array([self._numbers.get(self._plain[word], 0) for word in sentence.words]),
                rows[[places[word] for word in sentence.words]],
                np.array(self._targets(sentence)),
            )
            for sentence in sentences
        ]

    def _targets(self, sentence: Sentence) -> list[int]:
        """What the sentence is, if that is asked, then what each word is."""
        label = [self._labels.get(sentence.label, PADDING)] if self._labels else []
        return label + [self._tags.get(tag, PADDING) for tag in sentence.tags]


def _commonest(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda word: (-counts[word], word))


def _known(
    texts: list[Encoded], untagged: list[list[str]], vocabulary: Vocabulary, reading: Reading
) -> Known:
    """Vectors from the training text and what comes without tags, and characters' parts."""
    numbers, plain = vocabulary.words.get_vocab(), Normalized(vocabulary.words)
    others = [np.array([numbers.get(plain[w], 0) for w in text]) for text in untagged if text]
    every = [*(text.words for text in texts), *others]
    size = vocabulary.words.get_vocab_size()
    characters = vocabulary.characters.get_vocab()
    return Known(
        sided_vectors(every, size, reading.vectors, reading.seed),
        writing.made_of(sorted(characters, key=lambda c: characters[c])),
        pair_vectors(every, reading) if reading.pairs else None,
    )


def pair_vectors(texts: Sequence[Ids], reading: Reading) -> Tensor:
    """Vectors of neighbours: of each row of the table that they share, [M, E]."""
    numbered = [pair_numbers(text[:-1], text[1:], reading.pairs) for text in texts if len(text) > 1]
    return sided_vectors(numbered, reading.pairs, reading.vectors, reading.seed)


class TaggedTexts:
    """Sentences with tags, batched with others of about their length."""

    POOL = 50  # batches sorted by length together

    def __init__(
        self,
        texts: Sequence[Encoded],
        rows: int,
        seed: int | None = None,
        forgotten: np.ndarray | None = None,
    ) -> None:
        """Keeps the sentences.

        Args:
            texts: the sentences.
            rows: of a batch.
            seed: mixes them anew each pass; None keeps them in the order of their lengths.
            forgotten: how often each word is read as unknown, [V].
        """
        self._texts, self._rows, self._seed, self._forgotten = texts, rows, seed, forgotten
        self._lengths = np.array([len(text.words) for text in texts])
        self._order: tuple[int, list[Ids]] = (-1, [])

    def __len__(self) -> int:
        return -(-len(self._texts) // self._rows)

    def batch(self, step: int, shard: Shard) -> Batch:
        """Sentences of a step.

        Words int64 [B / world, T], characters [B / world, T, C], lengths [B / world] and
        targets [B / world, T], or [B / world, 1 + T] where sentences have labels.
        """
        number, place = divmod(step, len(self))
        if self._order[0] != number:
            rng = None if self._seed is None else np.random.default_rng([self._seed, number])
            self._order = (number, by_length(self._lengths, self._rows, self.POOL, rng))
        chosen = self._order[1][place]
        chosen = chosen[shard.rank :: shard.world] if len(chosen) >= shard.world else chosen
        texts = [self._texts[index] for index in chosen]
        known = self._known([text.words for text in texts], [step, int(chosen[0])])
        inputs = (
            _stacked(known, 0),
            _stacked([text.characters for text in texts], 0),
            torch.tensor([len(text.words) for text in texts]),
        )
        return Batch(inputs, _stacked([text.targets for text in texts], PADDING), fresh=True)

    def _known(self, texts: list[Ids], draw: list[int]) -> list[Ids]:
        """Words of sentences, some of them read as unknown."""
        if self._forgotten is None or self._seed is None:
            return texts
        rng = np.random.default_rng([self._seed, *draw])
        return [np.where(rng.random(len(t)) < self._forgotten[t], 0, t) for t in texts]


def _stacked(parts: list[Ids], padding: int) -> Tensor:
    """Arrays [T, ...] as rows of one, padded behind."""
    return torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(part) for part in parts], batch_first=True, padding_value=padding
    )
