"""SNIPS: what people ask of a voice assistant, each with an intent and with slots.

Split and words are those of papers since Goo et al. (2018): the validation files are the test
split, and words are in lower case and without marks. Of the training files 700 requests
choose; which 700 those are in the papers is not to be had, so they are drawn here, 100 of
every intent.
"""

import io
import json
import tarfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from stepwire_training.data import ewt
from stepwire_training.data.batches import Dataset
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.fetch import Source
from stepwire_training.data.tagged import Reading, Splits, split
from stepwire_training.data.words import word_tokenizer

ARCHIVE = Source(
    path="snips/2017-06-custom-intent-engines.tar",  # of the folder that its home has
    url="https://github.com/sonos/nlu-benchmark/tree/master/2017-06-custom-intent-engines",
    sha256="3da126db32bb914d661dec5373cee4efed886e12ad99e44be4b5387a48d5d1ca",
)
OUTSIDE = "O"
DEV_OF_EACH = 100  # requests of every intent
DEV_SEED = 1  # of the split, whatever the seed of a run is
_CUTTER = word_tokenizer([], "commands")


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Requests of seven intents, read as words and characters."""

    reading: Reading

    def load(self) -> Dataset:
        """Reads the archive and makes the splits."""
        train, test = requests(ARCHIVE.read())
        rest, dev = held_out(train)
        chosen = {sentence.words for sentence in dev}
        kept = [sentence for sentence in rest if sentence.words not in chosen]
        dataset = split(Splits(kept, dev, test, cut_again(ewt.untagged())), self.reading)
        dropped = {"training sentences dropped as also in dev": len(rest) - len(kept)}
        return replace(dataset, facts={**dataset.facts, **dropped})


def requests(archive: bytes) -> tuple[list[Sentence], list[Sentence]]:
    """Those of the training files and those of the validation files, by intent."""
    found: dict[str, list[Sentence]] = {"train": [], "validate": []}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in sorted(files.getmembers(), key=lambda member: member.name):
            name, file = PurePosixPath(member.name).stem, files.extractfile(member)
            kind = name.partition("_")[0]
            # Every intent has a small training file beside its full one.
            if file and (kind == "validate" or name.endswith("_full")):
                found[kind] += parse(file.read())
    return found["train"], found["validate"]


def parse(content: bytes) -> list[Sentence]:
    """The requests of a file, all of one intent; bytes that are no UTF-8 are marks."""
    [(intent, every)] = json.loads(content.decode(errors="replace")).items()
    return [_sentence(intent, request["data"]) for request in every]


def _sentence(intent: str, parts: Sequence[dict[str, Any]]) -> Sentence:
    """A request: what is said in a slot is a part by itself, and so is what is between."""
    words: list[str] = []
    tags: list[str] = []
    for part in parts:
        found, slot = cut(part["text"]), part.get("entity")
        words += found
        tags += [f"{'I' if n else 'B'}-{slot}" if slot else OUTSIDE for n in range(len(found))]
    return Sentence(tuple(words), tuple(tags), (True,) * len(words), intent)


def cut(text: str) -> list[str]:
    """The words of a text, in lower case."""
    text = unicodedata.normalize("NFC", text).lower()
    return [text[first:last] for first, last in _CUTTER.encode(text).offsets]


def held_out(sentences: list[Sentence]) -> tuple[list[Sentence], list[Sentence]]:
    """Most sentences, and a few of every intent that choose the weights."""
    rng = np.random.default_rng(DEV_SEED)
    labels = np.array([sentence.label for sentence in sentences])
    chosen = {
        int(place)
        for label in np.unique(labels)
        for place in rng.choice(np.flatnonzero(labels == label), DEV_OF_EACH, replace=False)
    }
    kept = [sentence for place, sentence in enumerate(sentences) if place not in chosen]
    return kept, [sentences[place] for place in sorted(chosen)]


def cut_again(texts: list[list[str]]) -> list[list[str]]:
    """Words of other text as these requests have them."""
    known = {word: cut(word) for word in {word for text in texts for word in text}}
    return [[part for word in text for part in known[word]] for text in texts]
