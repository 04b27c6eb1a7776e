"""Characters of tinyshakespeare: the first 90 % to train on, the last 10 % to validate on."""

from dataclasses import dataclass

import numpy as np

from stepwire_training.data import tokens
from stepwire_training.data.batches import Dataset, TextStream
from stepwire_training.data.fetch import Source

TEXT = Source(
    path="tinyshakespeare/input.txt",
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
VALIDATION_ROWS = 32  # read side by side while training; the published figure reads one


@dataclass(frozen=True, kw_only=True)
class Characters:
    """The play text, in chunks that carry their state."""

    rows: int  # texts read side by side
    length: int  # characters between two updates
    seed: int  # moves the rows' beginnings each pass

    def load(self) -> Dataset:
        """Reads the text and makes its splits."""
        return split(TEXT.read().decode(), self)


def split(text: str, config: Characters) -> Dataset:
    """A text as a data set: its last tenth validates, as nanoGPT does it."""
    tokenizer = tokens.characters(text)
    ids = np.array(tokenizer.encode(text).ids, dtype=np.int64)
    cut = int(len(ids) * 0.9)
    train, validation = ids[:cut], ids[cut:]
    rows = min(VALIDATION_ROWS, len(validation) // 64)
    return Dataset(
        tokenizer=tokenizer,
        labels=(),
        train=TextStream(train, config.rows, config.length, config.seed),
        dev=TextStream(validation, rows, config.length),
        test=TextStream(validation, 1, 4 * config.length),
        facts={"training characters": len(train), "validation characters": len(validation)},
    )
