"""The Stanford Sentiment Treebank with two labels: whole sentences, on the official split.

Its phrases, which many published figures are trained with, are not among the files. Words
are known from more text than the sentences: WikiText-2, English sentences of Tatoeba, a novel
and the English Web Treebank, which has reviews of other things, all without labels.
"""

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from stepwire_training.data import conllu, ewt
from stepwire_training.data.batches import Dataset, LabelledTexts
from stepwire_training.data.fetch import Source
from stepwire_training.data.nsmc import LABELS, Review, encode
from stepwire_training.data.sided_vectors import sided_vectors
from stepwire_training.data.splitting import Ids
from stepwire_training.data.tokens import SPACE, UNKNOWN
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
EMPHASIS = 8  # a sentence says what is common as so many of other text do


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Sentences of film reviews, cut into words, and rare words into pieces."""

    vocabulary: int  # tokens, the unknown with them
    about: int  # values of a token's vector that say what it is about
    beside: int  # and of those that say beside which tokens it stands
    rows: int  # sentences of a batch
    seed: int  # mixes the sentences anew each pass

    def load(self) -> Dataset:
        """Reads all files and makes the splits."""
        splits = {name: parse(source.read()) for name, source in SOURCES.items()}
        web = conllu.parse(ewt.SOURCES["train"].read().decode())
        return split(splits, [*ewt.untagged(), *(list(one.words) for one in web)], self)


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
    first = [number for token, number in tokenizer.get_vocab().items() if token[0] == SPACE]
    words = sum(int(np.isin(text, first).sum()) for text in tests)
    return Dataset(
        tokenizer=tokenizer,
        labels=LABELS,
        train=LabelledTexts(texts, labels, config.rows, config.seed),
        dev=LabelledTexts(*encode(splits["dev"], tokenizer), EVALUATION_ROWS),
        test=LabelledTexts(tests, wanted, EVALUATION_ROWS),
        facts={
            "training sentences": len(train),
            "training tokens": sum(map(len, texts)),
            "dev sentences": len(splits["dev"]),
            "test sentences": len(tests),
            "test words": words,
            "pieces of test words behind their first": sum(map(len, tests)) - words,
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
    """Numbers for words and pieces, in the order of how often training has them."""
    other_texts = [" ".join(words) for words in unlabelled]
    tokenizer = review_tokenizer([*texts * EMPHASIS, *other_texts], size)
    seen = Counter(token for one in tokenizer.encode_batch(texts) for token in one.tokens)
    content = json.loads(tokenizer.to_str())
    found: dict[str, int] = content["model"]["vocab"]
    others = sorted(found.keys() - {UNKNOWN}, key=lambda token: (-seen[token], found[token]))
    content["model"]["vocab"] = {token: n for n, token in enumerate([UNKNOWN, *others])}
    content["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(content))


def vectors(
    texts: list[Ids], unlabelled: list[list[str]], tokenizer: Tokenizer, config: Sentences
) -> Tensor:
    """What is known of tokens from text alone, float32 [V, about + beside]."""
    others = tokenizer.encode_batch_fast([" ".join(words) for words in unlabelled])
    every = [*texts, *(np.array(one.ids, np.int64) for one in others if one.ids)]
    size = tokenizer.get_vocab_size()
    parts = [
        word_vectors(every, size, config.about, config.seed),
        sided_vectors(every, size, config.beside, config.seed),
    ]
    return torch.cat(parts, dim=1)
