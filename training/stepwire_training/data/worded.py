"""Texts that word vectors are learned from: WikiText-2, and Naver film reviews."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from stepwire_training.data import likeness, nsmc
from stepwire_training.data.batches import Dataset, Worded
from stepwire_training.data.cells import Near
from stepwire_training.data.corpus import Counted, Texts, count
from stepwire_training.data.ewt import WIKIPEDIA
from stepwire_training.data.fetch import Source
from stepwire_training.data.likeness import Tests
from stepwire_training.data.windows import Beside
from stepwire_training.data.words import word_tokenizer

WIKIPEDIA_DEV = Source(
    path="wikitext-2/valid.txt",
    url="https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/valid.txt",
    sha256="f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
)
DEV_REVIEWS = 5_000  # taken from the training file
MIXING = 1  # seed of which those are


@dataclass(frozen=True, kw_only=True)
class WikiText:
    """Articles of the English Wikipedia, in lower case, without punctuation."""

    counted: Counted
    learned: Beside | Near

    def load(self) -> Dataset:
        """Reads the training and the validation file."""
        return dataset(self.texts(), self.counted, self.learned, likeness.english())

    def texts(self) -> tuple[Texts, Texts]:
        """Paragraphs as words: those to learn from, and those that choose."""
        train, dev = (cut(it.read().decode(), self.counted) for it in (WIKIPEDIA, WIKIPEDIA_DEV))
        return train, dev


@dataclass(frozen=True, kw_only=True)
class FilmReviews:
    """Reviews of films in Korean, cut at spaces, without punctuation."""

    counted: Counted
    learned: Beside | Near

    def load(self) -> Dataset:
        """Reads the training file; the reviews of the test split are left alone."""
        return dataset(self.texts(), self.counted, self.learned, likeness.korean())

    def texts(self) -> tuple[Texts, Texts]:
        """Reviews as words: those to learn from, and those that choose."""
        reviews = [review.text for review in nsmc.parse(nsmc.TRAIN.read())]
        random.Random(MIXING).shuffle(reviews)
        tokenizer = word_tokenizer([], self.counted.cutting, keeps_digits=True)
        texts = [
            spoken([part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)])
            for text in (tokenizer.normalizer.normalize_str(review) for review in reviews)
        ]
        return texts[DEV_REVIEWS:], texts[:DEV_REVIEWS]


def cut(content: str, counted: Counted) -> list[list[str]]:
    """The words of lines that are cut already, with spaces between them."""
    normalizer = word_tokenizer([], counted.cutting, keeps_digits=True).normalizer
    return [spoken(line.split()) for line in normalizer.normalize_str(content).split("\n")]


def spoken(words: Sequence[str]) -> list[str]:
    """Those with a letter or a digit; <unk> stands for no word."""
    return [word for word in words if word != "<unk>" and any(map(str.isalnum, word))]


def dataset(
    splits: tuple[Texts, Texts], counted: Counted, learned: Beside | Near, tests: Tests
) -> Dataset:
    """Counts words, and reads texts as a recipe says.

    Args:
        splits: texts to learn from, and texts that choose.
        counted: which words get vectors.
        learned: what they are learned from.
        tests: what they are measured on.
    """
    texts, dev = splits
    known = count(texts, counted)
    corpus, held_out = known.corpus(texts), known.corpus(dev)
    train, chooses = learned.splits(corpus, held_out, known.counts)
    return Dataset(
        tokenizer=known.tokenizer,
        labels=(),
        train=train,
        dev=chooses,
        test=chooses,
        facts={
            "training words": sum(map(len, texts)),
            "of them with a vector": len(corpus.ids),
            "words with a vector": len(known.counts) - 1,
            "parts of words with a vector": known.parts.get_vocab_size() if known.parts else 0,
        },
        vectors=(lambda: known.made_of) if known.parts else None,
        worded=Worded(known=known, tests=tests),
    )
