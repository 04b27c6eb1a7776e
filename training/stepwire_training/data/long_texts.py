"""Two long texts, character by character, on which cells were first looked at.

After Karpathy, Johnson and Li, "Visualizing and Understanding Recurrent Networks" (2015): a
novel, and the source code of a kernel.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stepwire_training.data import tokens
from stepwire_training.data.batches import Dataset, TextStream
from stepwire_training.data.ewt import NOVEL
from stepwire_training.data.fetch import Source

_KERNEL_URL = "https://raw.githubusercontent.com/pytorch/examples/{}/word_language_model/data/linux"
_REVISIONS = {
    "train": "e9bf006038cff3d7f7b5659596e37950cec5c197",
    "valid": "0f4dca7dc202798f545ca7c006c91956cb584f43",
    "test": "e9bf006038cff3d7f7b5659596e37950cec5c197",
}
_DIGESTS = {
    "train": "1e8679c0e1e7e1a40a2f2bbb6e8378a728760f2e387da24cf89cacc57731ef84",
    "valid": "6dd2fb0899b6f690d8cf454d4012845fbc5e0e782dc6a62a4c7330ab368050e3",
    "test": "67860ba2f1211662126acbc15c9c0b662017c5263813486817c681fc55a0c616",
}
KERNEL = {
    name: Source(
        path=f"linux-kernel-text/{name}.txt",
        url=f"{_KERNEL_URL.format(_REVISIONS[name])}/{name}.txt",
        sha256=digest,
    )
    for name, digest in _DIGESTS.items()
}
VALIDATION_ROWS = 32  # read side by side while training; published figures read one
LONG = 40  # characters of a line that hardly comes twice by chance


class Parts(NamedTuple):
    """The splits of a text, each of it in one piece."""

    train: str
    dev: str
    test: str


@dataclass(frozen=True, kw_only=True)
class LongText:
    """A text in chunks that carry their state; what is common to both."""

    rows: int  # texts read side by side
    length: int  # characters between two updates
    seed: int  # moves the rows' beginnings each pass

    def parts(self) -> Parts:
        """Reads the text and splits it."""
        raise NotImplementedError

    def load(self) -> Dataset:
        """Reads the text as numbers."""
        parts = self.parts()
        tokenizer = tokens.characters("".join(parts))
        train, dev, test = (np.array(tokenizer.encode(part).ids, dtype=np.int64) for part in parts)
        return Dataset(
            tokenizer=tokenizer,
            labels=(),
            train=TextStream(train, self.rows, self.length, self.seed),
            dev=TextStream(dev, min(VALIDATION_ROWS, len(dev) // 64), self.length),
            test=TextStream(test, 1, 4 * self.length),
            facts={
                "training characters": len(train),
                "validation characters": len(dev),
                "test characters": len(test),
                f"test lines of at least {LONG} characters": len(_long_lines(parts.test)),
                "of these, lines that stand in the training text too": seen_before(parts),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Novel(LongText):
    """War and Peace: the first 80 % to learn from, 10 % to choose by, the last 10 % to measure."""

    def parts(self) -> Parts:
        """Reads the text and splits it."""
        text = NOVEL.read().decode()
        first, second = int(len(text) * 0.8), int(len(text) * 0.9)
        return Parts(text[:first], text[first:second], text[second:])


@dataclass(frozen=True, kw_only=True)
class KernelSource(LongText):
    """Files of the Linux kernel, split as they are published."""

    def parts(self) -> Parts:
        """Reads the three files."""
        return Parts(*(KERNEL[name].read().decode() for name in ("train", "valid", "test")))


def seen_before(parts: Parts) -> int:
    """How many long lines of the test text are lines of the training text."""
    known = set(_long_lines(parts.train))
    return sum(line in known for line in _long_lines(parts.test))


def _long_lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.split("\n"))
    return [line for line in lines if len(line) >= LONG]
