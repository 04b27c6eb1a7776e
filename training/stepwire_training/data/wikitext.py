"""WikiText-2 (Merity et al., 2016), in pieces of words; perplexity is told by words.

The published text has its words between spaces, rare ones written <unk>, and every line counts
one word more, its end mark. Pieces spell these very words, so the cost of a text in pieces is
the cost of its words, and no other spelling of them is credited.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

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
VALIDATION_ROWS = 32  # read side by side while training; the published figure reads one


@dataclass(frozen=True, kw_only=True)
class WikiText:
    """The articles, in chunks that carry their state."""

    vocabulary: int  # pieces of words
    rows: int  # texts read side by side
    length: int  # tokens between two updates
    seed: int  # moves the rows' beginnings each pass

    def load(self) -> Dataset:
        """Reads the three files."""
        return split({name: file.read().decode() for name, file in FILES.items()}, self)


def split(texts: dict[str, str], config: WikiText) -> Dataset:
    """The splits of a text as a data set."""
    tokenizer = pieces(texts["train"], config.vocabulary)
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
            "training tokens": len(train),
            "test tokens": len(test) - 1,
        },
        words=words(texts["test"]),
    )


def words(text: str) -> int:
    """How many words a text has, an end mark for each line with them."""
    return len(text.split()) + text.count("\n")


def pieces(text: str, vocabulary: int) -> Tokenizer:
    """Pieces of words, grown by merging the most frequent pairs; each line end is one."""
    tokenizer = Tokenizer(models.BPE(unk_token=tokens.UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(" *\n *"), "\n"),
            normalizers.Replace(Regex(" +"), " "),
        ]
    )
    spaces = pre_tokenizers.Metaspace(replacement=tokens.SPACE, prepend_scheme="always")
    lines = pre_tokenizers.Split("\n", "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([lines, spaces])
    tokenizer.decoder = decoders.Metaspace(replacement=tokens.SPACE, prepend_scheme="always")
    counts = Counter(text)
    counts.pop(" ", None)
    alphabet = [tokens.SPACE, *sorted(counts, key=lambda char: (-counts[char], char))]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.split("\n\n"), trainer)
    return tokens.with_specials(tokenizer, tokens.UNKNOWN)


def _ids(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """A text as numbers [1 + T], behind an end mark, so that its first word is predicted too."""
    begin = tokens.id_of(tokenizer, END)
    return np.array([begin, *tokenizer.encode(text).ids], dtype=np.int64)
