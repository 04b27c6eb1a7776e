"""WikiText-2 (Merity et al., 2016), word by word.

The published text has its words between spaces, rare ones written <unk>, and every line counts
one word more, its end mark.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from stepwire_training.data import tokens
from stepwire_training.data.batches import Dataset, TextStream
from stepwire_training.data.ewt import WIKIPEDIA
from stepwire_training.data.fetch import Source
from stepwire_training.data.worded import WIKIPEDIA_DEV

FILES = {
    "train": WIKIPEDIA,
    "valid": WIKIPEDIA_DEV,
    "test": Source(
        path="wikitext-2/test.txt",
        url="https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/test.txt",
        sha256="d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
}
END = f"{tokens.SPACE}\n"  # the end mark of a line, as a token
RARE = f"{tokens.SPACE}<unk>"  # what the corpus writes for a rare word
VALIDATION_ROWS = 32  # read side by side while training; the published figure reads one


@dataclass(frozen=True, kw_only=True)
class WikiText:
    """The articles, in chunks that carry their state."""

    rows: int  # texts read side by side
    length: int  # tokens between two updates
    seed: int  # moves the rows' beginnings each pass

    def load(self) -> Dataset:
        """Reads the three files."""
        return split({name: file.read().decode() for name, file in FILES.items()}, self)


def split(texts: dict[str, str], config: WikiText) -> Dataset:
    """The splits of a text as a data set."""
    tokenizer = word_by_word(texts["train"])
    train, dev, test = (_ids(tokenizer, texts[name]) for name in ("train", "valid", "test"))
    rows = min(VALIDATION_ROWS, len(dev) // 64)
    return Dataset(
        tokenizer=tokenizer,
        labels=(),
        train=TextStream(train, config.rows, config.length, config.seed),
        dev=TextStream(dev, rows, config.length),
        test=TextStream(test, 1, 4 * config.length),
        facts={
            "training words, an end mark a line with them": words(texts["train"]),
            "validation words": words(texts["valid"]),
            "test words": words(texts["test"]),
            "different words": tokenizer.get_vocab_size(),
            "test words that training never saw": _unseen(texts),
        },
        words=words(texts["test"]),
    )


def words(text: str) -> int:
    """How many words a text has, an end mark for each line with them."""
    return len(text.split()) + text.count("\n")


def word_by_word(text: str) -> Tokenizer:
    """One token a word of a text, the commonest first; each line end is one.

    A word that is not among them is read as the corpus writes rare ones.
    """
    spaces = pre_tokenizers.Metaspace(replacement=tokens.SPACE, prepend_scheme="always")
    lines = pre_tokenizers.Split("\n", "isolated")
    cut = pre_tokenizers.Sequence([lines, spaces])
    normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(" *\n *"), "\n"),
            normalizers.Replace(Regex(" +"), " "),
        ]
    )
    # An end mark may be missing where words are few.
    counts = Counter({END: 1, RARE: 1})
    counts.update(word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text)))
    order = sorted(counts, key=lambda word: (-counts[word], word))
    numbers = {word: number for number, word in enumerate(order)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=RARE))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.Metaspace(replacement=tokens.SPACE, prepend_scheme="always")
    return tokenizer


def _unseen(texts: dict[str, str]) -> int:
    known = set(texts["train"].split())
    return sum(word not in known for word in texts["test"].split())


def _ids(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """A text as numbers [1 + T], behind an end mark, so that its first word is predicted too."""
    begin = tokens.id_of(tokenizer, END)
    return np.array([begin, *tokenizer.encode(text).ids], dtype=np.int64)
