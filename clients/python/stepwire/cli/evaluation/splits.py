"""The test splits, read as those who trained on the others read them."""

import io
import random
import re
import tarfile
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from stepwire.cli.evaluation.files import File

NSMC = File(
    path="nsmc/ratings_test.txt",
    sha256="8ac9f64052f11dbf6ae0acb5e038f03d90a76f0eda7820cfb3a92d02edfcebda",
)
SST2 = File(
    path="sst2/test.tsv",
    sha256="831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7",
)
EWT = File(
    path="ud-english-ewt/en_ewt-ud-test.conllu",
    sha256="e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
)
KAIST = File(
    path="ud-korean-kaist/kaist.tar",
    sha256="d37b3de09da28fe4af4130ecacbf3ec0a0e507b72758fd2afdf619d81b49e94e",
)
GSD = File(
    path="ud-korean-gsd/ko_gsd-ud-dev.conllu",
    sha256="e5fb7a0fef26f7172751b2791112bbc9ae560940e4f1250b6a33f25716b5bbca",
)
BTC = File(
    path="btc/f.conll",
    sha256="d0839ddb0bd57f3a59ac9ab35d371dc140db8280e0001469a4e56fe8f776ce8a",
)
WNUT = File(
    path="wnut17/emerging.test.annotated",
    sha256="59242c5624a463782626d55a82c2c735fb687a011c44335acbb102e6d8e9d359",
)
KLUE = File(
    path="klue-ner/klue-ner-v1.1_dev.tsv",
    sha256="0f4d5e818f7b82d299c3a87856fc40a706f5943207580ddb252397e387050a54",
)
KLUE_NUMBER = re.compile(r"## klue-ner-v1_dev_(\d+)-")
KLUE_TEST = 9  # last digit of the running numbers of what is measured
INTENTS = File(
    path="3i4k/fci_test.txt",
    sha256="d74c5b376c7d231bd4d5a94de855e47b6e70c96abeeaaf75cffbdb8506a87ff2",
)
INTENT_LABELS = (
    *("fragment", "statement", "question", "command"),
    *("rhetorical question", "rhetorical command", "depends on intonation"),
)
SURNAMES = File(
    path="names-nationality/names.tar",
    sha256="33aee8fcb0a6c884c876d78cae5297b5ab1c818b360959ffd4390e73bcf0d68e",
)
SURNAMES_SEED, SURNAMES_SHARE = 1, 0.15  # of the names, which have no split of their own
NAMED = {  # what the two corpora call the types that they share
    **{"PER": "PER", "LOC": "LOC", "ORG": "ORG"},
    **{"person": "PER", "location": "LOC", "corporation": "ORG", "group": "ORG"},
}
VERDICTS = {"0": "negative", "1": "positive"}  # on films
KAIST_DOCUMENTS = (  # those of the test split, in the order of their names
    *("M2TA_070", "M2TA_080", "M2TA_090", "MH2_0010", "MH2_0070", "MH2_0110"),
    *("MH2_0180", "MH2_0190"),
)


class Labelled(NamedTuple):
    """A text and what it is."""

    text: str
    label: str


class Tagged(NamedTuple):
    """The words of a sentence and their tags."""

    words: list[str]
    tags: list[str]


def nsmc() -> list[Labelled]:
    """Film reviews: a heading, then id, text and label between tabs."""
    lines = [line for line in NSMC.read().decode().split("\n")[1:] if line]
    fields = [line.split("\t") for line in lines]
    return [Labelled(text.strip(), VERDICTS[label]) for _, text, label in fields]


def sst2() -> list[Labelled]:
    """Sentences on films: a text and its label a line, with a tab between."""
    fields = [line.split("\t") for line in SST2.read().decode().split("\n") if line]
    return [Labelled(text.strip(), VERDICTS[label]) for text, label in fields]


def intents() -> list[Labelled]:
    """Korean utterances: a label and a text a line, with a tab between."""
    lines = [line for line in INTENTS.read().decode().split("\n") if line]
    fields = [line.split("\t", 1) for line in lines]
    return [Labelled(text.strip(), INTENT_LABELS[int(label)]) for label, text in fields]


def surnames() -> list[Labelled]:
    """Names, once for each of their languages; each of them is in one split alone."""
    homes: dict[str, list[str]] = {}
    with tarfile.open(fileobj=io.BytesIO(SURNAMES.read())) as archive:
        members = sorted(archive.getmembers(), key=lambda member: member.name)
        for member in members:
            file = archive.extractfile(member)
            lines = file.read().decode().split("\n") if file else []
            names = {unicodedata.normalize("NFC", line.strip()).lower() for line in lines}
            for name in names - {""}:
                homes.setdefault(name, []).append(PurePosixPath(member.name).stem)
    mixed = sorted(homes)
    random.Random(SURNAMES_SEED).shuffle(mixed)
    test = mixed[: round(SURNAMES_SHARE * len(mixed))]
    return [Labelled(name, home) for name in test for home in homes[name]]


def ewt() -> list[Tagged]:
    """English of the web."""
    return sentences(EWT.read().decode())


def kaist() -> list[Tagged]:
    """Korean documents."""
    with tarfile.open(fileobj=io.BytesIO(KAIST.read())) as archive:
        found = [archive.extractfile(f"kaist/{name}.conllu") for name in KAIST_DOCUMENTS]
        return [one for file in found if file for one in sentences(file.read().decode())]


def gsd() -> list[Tagged]:
    """Korean of the web, by another treebank."""
    return sentences(GSD.read().decode())


def btc() -> list[Tagged]:
    """Tweets with the names in them."""
    return named(BTC.read().decode())


def wnut() -> list[Tagged]:
    """Posts with names that are new or rare."""
    return named(WNUT.read().decode())


def klue() -> list[Tagged]:
    """Korean sentences, character by character: those whose number ends as the test split's do."""
    found = []
    for block in KLUE.read().decode().split("\n\n"):
        lines = block.split("\n")
        numbers = [int(match[1]) for line in lines if (match := KLUE_NUMBER.match(line))]
        if [number % 10 for number in numbers] == [KLUE_TEST]:
            pairs = [line.split("\t") for line in lines if "\t" in line and line[:2] != "##"]
            found.append(Tagged([one for one, _ in pairs], [tag for _, tag in pairs]))
    return found


def read_on(sentences: Sequence[Tagged], count: int) -> list[Tagged]:
    """Texts of so many sentences that follow one another; what is left over is left out."""
    parts = [sentences[first : first + count] for first in range(0, len(sentences), count)]
    return [
        Tagged([w for one in part for w in one.words], [t for one in part for t in one.tags])
        for part in parts
        if len(part) == count
    ]


def named(content: str) -> list[Tagged]:
    """A word and its tag a line, a blank line behind each sentence; other types are no names."""
    found = []
    for block in content.replace("\r\n", "\n").split("\n\n"):
        fields = [line.split("\t") for line in block.split("\n") if "\t" in line]
        pairs = [(word.strip(), _shared(tag)) for word, tag in fields if word.strip()]
        found.append(Tagged([word for word, _ in pairs], [tag for _, tag in pairs]))
    return [sentence for sentence in found if sentence.words]


def _shared(tag: str) -> str:
    """A tag with one of the shared types, or none."""
    place, _, kind = tag.strip().partition("-")
    return f"{place}-{NAMED[kind]}" if kind in NAMED else "O"


def sentences(content: str) -> list[Tagged]:
    """The sentences of a treebank in CoNLL-U; only lines with a whole number are words."""
    found = [Tagged([], [])]
    for line in content.split("\n"):
        fields = line.rstrip("\r").split("\t")
        if fields[0].isdigit():
            found[-1].words.append(fields[1])
            found[-1].tags.append(fields[3])
        elif not line.strip():
            found.append(Tagged([], []))
    return [sentence for sentence in found if sentence.words]
