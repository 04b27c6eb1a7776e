"""Surnames and the languages they come from, the data of PyTorch's tutorial on character RNNs.

The files have no split. Many names stand in them several times: 2,000 Arabic lines are 108
names. So the names are split, each of them once, and not the lines. Some names are at home
in several languages; they count once in each, wherever they are.
"""

import io
import random
import tarfile
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from stepwire_training.data import tokens
from stepwire_training.data.batches import Dataset, LabelledTexts
from stepwire_training.data.fetch import Source
from stepwire_training.data.nsmc import Review, encode

ARCHIVE = Source(
    path="names-nationality/names.tar",  # of the files that its home has one by one
    url="https://github.com/spro/practical-pytorch/tree/master/data/names",
    sha256="33aee8fcb0a6c884c876d78cae5297b5ab1c818b360959ffd4390e73bcf0d68e",
)
SHARES = {"test": 0.15, "dev": 0.1}  # of the names; the rest teaches
EVALUATION_ROWS = 256
LEAST = 3  # times that a letter is seen in training to be known

Lines = dict[str, list[str]]  # by language


@dataclass(frozen=True, kw_only=True)
class Names:
    """Surnames, cut into letters."""

    rows: int  # names of a batch
    seed: int  # splits the names, and mixes them anew each pass

    def load(self) -> Dataset:
        """Reads the archive and makes the splits."""
        return split(lines(ARCHIVE.read()), self)


def lines(content: bytes) -> Lines:
    """The lines of each language's file."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = [
            (PurePosixPath(member.name).stem, file.read().decode())
            for member in archive.getmembers()
            if (file := archive.extractfile(member))
        ]
    return {
        language: [line.strip() for line in text.split("\n") if line.strip()]
        for language, text in sorted(files)
    }


def split(found: Lines, config: Names) -> Dataset:
    """Makes the splits; a name is in one of them only, whatever languages it is at home in."""
    homes = languages(found)
    examples = shared_out(found, config.seed)
    tokenizer = tokens.frequent_characters(
        [example.text for example in examples["train"]], "letters", at_least=LEAST
    )
    cut = {name: encode(part, tokenizer) for name, part in examples.items()}
    total, pairs = sum(map(len, found.values())), sum(map(len, homes.values()))
    # Of a name with several homes at most one can be told.
    most = len({example.text for example in examples["test"]}) / len(examples["test"])
    return Dataset(
        tokenizer=tokenizer,
        labels=tuple(found),
        train=LabelledTexts(*cut["train"], config.rows, config.seed),
        dev=LabelledTexts(*cut["dev"], EVALUATION_ROWS),
        test=LabelledTexts(*cut["test"], EVALUATION_ROWS),
        facts={
            "lines": total,
            "lines dropped as repeated in their file": total - pairs,
            "names": len(homes),
            "names at home in several languages": sum(len(home) > 1 for home in homes.values()),
            "training names, once for each of their languages": len(examples["train"]),
            "dev names, alike": len(examples["dev"]),
            "test names, alike": len(examples["test"]),
            "highest accuracy on test, since of a name one language is told": round(most, 4),
        },
    )


def languages(found: Lines) -> dict[str, list[str]]:
    """The languages of each name; names that differ in case alone are one."""
    homes: dict[str, list[str]] = {}
    for language, names in found.items():
        for name in sorted({unicodedata.normalize("NFC", name).lower() for name in names}):
            homes.setdefault(name, []).append(language)
    return homes


def shared_out(found: Lines, seed: int) -> dict[str, list[Review]]:
    """Names, once for each of their languages, by the split that they are in; the seed mixes them.

    A label is the number of a language's file.
    """
    numbers, homes = list(found), languages(found)
    names = sorted(homes)
    random.Random(seed).shuffle(names)
    parts: dict[str, list[str]] = {}
    first = 0
    for part, share in SHARES.items():
        last = first + round(share * len(names))
        parts[part], first = names[first:last], last
    return {
        part: [Review(name, numbers.index(home)) for name in chosen for home in homes[name]]
        for part, chosen in (("train", names[first:]), *parts.items())
    }
