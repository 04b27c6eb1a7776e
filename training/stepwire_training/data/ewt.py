"""The English Web Treebank with Universal Dependencies, on its official split.

Words are known from more text than that of the treebank: WikiText-2, English sentences of
Tatoeba and a novel, all without tags.
"""

import io
import zipfile
from dataclasses import dataclass

from stepwire_training.data import tatoeba
from stepwire_training.data.batches import Dataset
from stepwire_training.data.conllu import parse
from stepwire_training.data.fetch import Source
from stepwire_training.data.tagged import Reading, Splits, split
from stepwire_training.data.words import word_tokenizer

HOME = "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/15d613d/"
DIGESTS = {
    "train": "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b",
    "dev": "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
    "test": "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
}
SOURCES = {
    name: Source(
        path=f"ud-english-ewt/en_ewt-ud-{name}.conllu",
        url=f"{HOME}en_ewt-ud-{name}.conllu",
        sha256=digest,
    )
    for name, digest in DIGESTS.items()
}
WIKIPEDIA = Source(
    path="wikitext-2/train.articles-reordered.txt",  # its home has the articles in another order
    url="https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data/wikitext-2/train.txt",
    sha256="728c77e87e176af4730f9a80fc6008bcaff421a7202c1c048877c0eec3685f89",
)
NOVEL = Source(
    path="war-and-peace/warpeace_input.txt",
    url="https://raw.githubusercontent.com/MrHereward/machine_learning_sandbox/"
    "39611e746794ccd7f046d10546eaf436f86db6b4/warpeace_input.txt",
    sha256="b0fc81c399971eaf738c8be89809e6a0d95c151749112b04f06b6af648d8a39f",
)


@dataclass(frozen=True, kw_only=True)
class EnglishWeb:
    """Sentences of the treebank, read as words and characters."""

    reading: Reading

    def load(self) -> Dataset:
        """Reads all files and makes the splits."""
        parts = {name: parse(source.read().decode()) for name, source in SOURCES.items()}
        return split(Splits(parts["train"], parts["dev"], parts["test"], untagged()), self.reading)


def untagged() -> list[list[str]]:
    """Sentences, paragraphs or lines without tags, as words."""
    lines = WIKIPEDIA.read().decode().split("\n")
    cut = [
        line.replace("<unk>", "_").replace(" @", " ").replace("@ ", " ").split() for line in lines
    ]
    with zipfile.ZipFile(io.BytesIO(tatoeba.SOURCE.read())) as archive:
        pairs = archive.read("fra.txt").decode().rstrip("\n").split("\n")
    sentences = sorted({pair.split("\t")[0] for pair in pairs})
    paragraphs = NOVEL.read().decode().replace("--", " -- ").split("\n\n")
    tokenizer = word_tokenizer([], "english")
    for text in [*sentences, *paragraphs]:
        cut.append([text[first:last] for first, last in tokenizer.encode(text).offsets])
    return cut
