"""The Stanford Sentiment Treebank with two labels: whole sentences, on the official split.

Its phrases, which many published figures are trained with, are not among the files. Words
are known from more text than the sentences: WikiText-2, English sentences of Tatoeba and a
novel, all without labels.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from stepwire_training.data import ewt
from stepwire_training.data.batches import Dataset, LabelledTexts
from stepwire_training.data.fetch import Source
from stepwire_training.data.nsmc import LABELS, Review, encode
from stepwire_training.data.sided_vectors import sided_vectors
from stepwire_training.data.splitting import Ids
from stepwire_training.data.tagged import Normalized
from stepwire_training.data.vectors import word_vectors
from stepwire_training.data.words import review_tokenizer

HOME = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2"
)
DIGESTS = {
    "train": "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920",
    "dev": "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359",
    "test": "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7",
}
SOURCES = {
    name: Source(path=f"sst2/{name}.tsv", url=f"{HOME}/{name}.tsv", sha256=digest)
    for name, digest in DIGESTS.items()
}
EVALUATION_ROWS = 128
AT_LEAST = 2  # times that a word must be seen to have an embedding, or in other text a number


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Sentences of film reviews, cut into words."""

    vocabulary: int  # words with a number of their own, the unknown with them
    about: int  # values of a word's vector that say what it is about
    beside: int  # and of those that say beside which words it stands
    rows: int  # sentences of a batch
    seed: int  # mixes the sentences anew each pass

    def load(self) -> Dataset:
        """Reads all files and makes the splits."""
        splits = {name: parse(source.read()) for name, source in SOURCES.items()}
        return split(splits, ewt.untagged(), self)


def parse(content: bytes) -> list[Review]:
    """The sentences of a file: a text and its label a line, with a tab between."""
    fields = [line.split("\t") for line in content.decode().split("\n") if line]
    return [Review(text.strip(), int(label)) for text, label in fields]


def split(
    splits: dict[str, list[Review]], unlabelled: list[list[str]], config: Sentences
) -> Dataset:
    """Makes a data set; a sentence that is measured too teaches nothing here.

    Args:
        splits: sentences for training, for choosing ("dev") and for measuring ("test").
        unlabelled: words of other sentences, that words are known from.
        config: how they are cut.
    """
    measured = {name: {review.text for review in splits[name]} for name in ("dev", "test")}
    train = [r for r in splits["train"] if r.text not in measured["dev"] | measured["test"]]
    tokenizer = build_tokenizer([review.text for review in train], unlabelled, config.vocabulary)
    texts, labels = encode(train, tokenizer)
    tests, wanted = encode(splits["test"], tokenizer)
    unknown = sum(int((text == 0).sum()) for text in tests)
    return Dataset(
        tokenizer=tokenizer,
        labels=LABELS,
        train=LabelledTexts(texts, labels, config.rows, config.seed),
        dev=LabelledTexts(*encode(splits["dev"], tokenizer), EVALUATION_ROWS),
        test=LabelledTexts(tests, wanted, EVALUATION_ROWS),
        facts={
            "training sentences": len(train),
            "training words": sum(map(len, texts)),
            "dev sentences": len(splits["dev"]),
            "test sentences": len(tests),
            "test words": sum(map(len, tests)),
            "test words without a number of their own": unknown,
            **{
                f"training sentences dropped as also in {name}": sum(
                    review.text in texts for review in splits["train"]
                )
                for name, texts in measured.items()
            },
            "words of text without labels": sum(map(len, unlabelled)),
        },
        vectors=partial(vectors, texts, unlabelled, tokenizer, config),
    )


def build_tokenizer(texts: list[str], unlabelled: list[list[str]], size: int) -> Tokenizer:
    """Numbers for words.

    Those that are seen often enough in training come first, the commonest first; then the
    others of training, then those of other text, the commonest first too.
    """
    cutter = review_tokenizer([])
    plain = Normalized(cutter)
    seen = Counter(
        plain[text[first:last]] for text in texts for first, last in cutter.encode(text).offsets
    )
    others = Counter(plain[word] for text in unlabelled for word in text)
    known = [word for word in commonest(others) if others[word] >= AT_LEAST and word not in seen]
    return review_tokenizer([*commonest(seen), *known][: size - 1])


def commonest(counts: Counter[str]) -> list[str]:
    """Words, the commonest first; of equals as the alphabet has them."""
    return sorted(counts, key=lambda word: (-counts[word], word))


def vectors(
    texts: list[Ids], unlabelled: list[list[str]], tokenizer: Tokenizer, config: Sentences
) -> Tensor:
    """What is known of words from text alone, float32 [V, about + beside]."""
    numbers, plain = tokenizer.get_vocab(), Normalized(tokenizer)
    others = [np.array([numbers.get(plain[w], 0) for w in text]) for text in unlabelled if text]
    every, size = [*texts, *others], tokenizer.get_vocab_size()
    parts = [
        found(every, size, width, config.seed)
        for found, width in ((word_vectors, config.about), (sided_vectors, config.beside))
        if width
    ]
    return torch.cat(parts, dim=1) if parts else torch.zeros(size, 0)
