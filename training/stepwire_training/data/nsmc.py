"""Naver movie reviews: Korean, negative or positive, on the official split."""

import random
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, NamedTuple

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from stepwire_training.data import tokens
from stepwire_training.data.batches import Dataset, LabelledTexts
from stepwire_training.data.fetch import Source
from stepwire_training.data.splitting import Ids, Splitting, parts, take_apart
from stepwire_training.data.vectors import word_vectors

HOME = "https://raw.githubusercontent.com/e9t/nsmc/master/"
TRAIN = Source(
    path="nsmc/ratings_train.txt",
    url=f"{HOME}ratings_train.txt",
    sha256="e03b7d14e9e41be8d464a28057cd25d7396c53e67aa7fd5f7e552c59b0ee2940",
)
TEST = Source(
    path="nsmc/ratings_test.txt",
    url=f"{HOME}ratings_test.txt",
    sha256="8ac9f64052f11dbf6ae0acb5e038f03d90a76f0eda7820cfb3a92d02edfcebda",
)
LABELS = ("negative", "positive")
EVALUATION_ROWS = 256

Kind = Literal["jamo", "characters", "bpe", "jamo-bpe"]


class Review(NamedTuple):
    """One line of the data."""

    text: str
    label: int


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """What labelled texts are, and what they can be."""

    what: str  # in the plural, for the card
    labels: tuple[str, ...]
    dev: int  # taken from the training file, which has no official dev split


KINDS = Kinds(what="reviews", labels=LABELS, dev=10_000)


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """Reviews, cut into tokens."""

    tokens: Kind
    vocabulary: int = 0  # size of a BPE vocabulary
    rows: int  # reviews of a batch
    take_apart: float = 0.0  # share of BPE tokens split at random while training
    vectors: int = 0  # size of word vectors to begin from; 0 begins at random
    seed: int  # mixes the reviews anew each pass

    def load(self) -> Dataset:
        """Reads both files and makes the splits."""
        return split(parse(TRAIN.read()), parse(TEST.read()), self)


def parse(content: bytes) -> list[Review]:
    """The reviews of a file: a heading, then id, text and label between tabs."""
    lines = content.decode().split("\n")[1:]
    fields = [line.split("\t") for line in lines if line]
    return [Review(text.strip(), int(label)) for _, text, label in fields]


def split(
    train: list[Review], test: list[Review], config: Reviews, kinds: Kinds = KINDS
) -> Dataset:
    """Makes the splits; a text that is also in the test split teaches nothing here."""
    hidden = {review.text for review in test}
    kept = [review for review in train if review.text and review.text not in hidden]
    random.Random(config.seed).shuffle(kept)
    cut = min(kinds.dev, len(kept) // 5)
    dev, kept = kept[:cut], kept[cut:]
    tokenizer = build_tokenizer(config, [review.text for review in kept])
    splitting = Splitting(parts(tokenizer), config.take_apart)
    texts, labels = encode(kept, tokenizer)
    return Dataset(
        tokenizer=tokenizer,
        labels=kinds.labels,
        train=LabelledTexts(texts, labels, config.rows, config.seed, splitting),
        dev=LabelledTexts(*encode(dev, tokenizer), EVALUATION_ROWS),
        test=LabelledTexts(*encode(test, tokenizer), EVALUATION_ROWS),
        facts={
            f"training {kinds.what}": len(kept),
            f"dev {kinds.what}": len(dev),
            f"test {kinds.what}": len(test),
            f"training {kinds.what} dropped as also in test": sum(r.text in hidden for r in train),
            f"training {kinds.what} dropped as empty": sum(not r.text for r in train),
        },
        # Half a minute's work, and only a run's first step needs it.
        vectors=cache(partial(_vectors, texts, splitting, config)) if config.vectors else None,
    )


def _vectors(texts: list[Ids], splitting: Splitting, config: Reviews) -> Tensor:
    """Word vectors of the training reviews, whole and taken apart."""
    rng = np.random.default_rng(config.seed)
    apart = [take_apart(text, splitting, rng) for text in texts]
    return word_vectors([*texts, *apart], len(splitting.into), config.vectors, config.seed)


def build_tokenizer(config: Reviews, texts: list[str]) -> Tokenizer:
    """A tokenizer of the kind a recipe names."""
    units: tokens.Units = "jamo" if config.tokens.startswith("jamo") else "syllables"
    if config.tokens.endswith("bpe"):
        return tokens.byte_pairs(texts, units, config.vocabulary)
    return tokens.frequent_characters(texts, units, at_least=5)


def encode(reviews: list[Review], tokenizer: Tokenizer) -> tuple[list[Ids], Ids]:
    """Token ids of every review and the labels, int64 [reviews].

    A review without a token (three of the test split are empty) is one unknown token.
    """
    nothing = [tokenizer.token_to_id(tokens.UNKNOWN)]
    encodings = tokenizer.encode_batch([review.text for review in reviews])
    ids = [np.array(encoding.ids or nothing, dtype=np.int64) for encoding in encodings]
    return ids, np.array([review.label for review in reviews], dtype=np.int64)
