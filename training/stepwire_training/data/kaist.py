"""The KAIST treebank with Universal Dependencies: Korean, split by whole documents."""

import io
import tarfile
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from stepwire_training.data.batches import Dataset
from stepwire_training.data.conllu import Sentence, parse
from stepwire_training.data.fetch import Source
from stepwire_training.data.tagged import Reading, Splits, split

ARCHIVE = Source(
    path="ud-korean-kaist/kaist.tar",  # of the 97 documents that its home has one by one
    url="https://github.com/emorynlp/ud-korean/tree/b16b4f5/kaist",
    sha256="d37b3de09da28fe4af4130ecacbf3ec0a0e507b72758fd2afdf619d81b49e94e",
)
GSD = Source(
    path="ud-korean-gsd/ko_gsd-ud-dev.conllu",
    url="https://raw.githubusercontent.com/UniversalDependencies/UD_Korean-GSD/r2.10/ko_gsd-ud-dev.conllu",
    sha256="e5fb7a0fef26f7172751b2791112bbc9ae560940e4f1250b6a33f25716b5bbca",
)
GSD_SPLIT = "GSD dev"  # of another treebank with the same tags: nothing is learned from it
DEV = (
    *("M2TA_069", "M2TA_079", "M2TA_089", "MH2_0069", "MH2_0109", "MH2_0149"),
    *("MH2_0159", "MH2_0169", "MH2_0209"),
)
TEST = (
    *("M2TA_070", "M2TA_080", "M2TA_090", "MH2_0010", "MH2_0070", "MH2_0110"),
    *("MH2_0180", "MH2_0190"),
)


@dataclass(frozen=True, kw_only=True)
class Kaist:
    """Sentences of the treebank, read as words and characters."""

    reading: Reading

    def load(self) -> Dataset:
        """Reads the archive and makes the splits."""
        found = splits(documents())
        return split(replace(found, others={GSD_SPLIT: parse(GSD.read().decode())}), self.reading)


def documents() -> dict[str, list[Sentence]]:
    """The sentences of every document, by its name."""
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE.read())) as archive:
        members = sorted(archive.getmembers(), key=lambda member: member.name)
        return {
            PurePosixPath(member.name).stem: parse(file.read().decode())
            for member in members
            if member.name.endswith(".conllu") and (file := archive.extractfile(member))
        }


def splits(found: dict[str, list[Sentence]]) -> Splits:
    """Documents as the releases of Universal Dependencies split them."""
    parts: dict[str, list[Sentence]] = {"train": [], "dev": [], "test": []}
    for name, sentences in found.items():
        parts["dev" if name in DEV else "test" if name in TEST else "train"] += sentences
    return Splits(parts["train"], parts["dev"], parts["test"])
