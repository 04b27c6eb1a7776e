"""Everyday English sentences in Korean, and back: KorSTS beside its English source, Tatoeba."""

import random
from dataclasses import dataclass

from stepwire_training.data.batches import Dataset, Pair
from stepwire_training.data.fetch import Source
from stepwire_training.data.parallel import Cutting, Splits, dataset, plain

KOREAN = "https://raw.githubusercontent.com/kakaobrain/KorNLUDatasets/master/KorSTS/"
ENGLISH = (
    "https://raw.githubusercontent.com/zhangzhenhu/Semantic-Texual-Similarity-Toolkits/"
    "master/data/stsbenchmark/"
)
TATOEBA = Source(
    path="tatoeba-eng-kor/kor.txt",
    url="https://raw.githubusercontent.com/jh868/pytorch_study/main/kor-eng/kor.txt",
    sha256="35e30cc324d286dedfdbd16ba085c24de828bfe7fedd7b77aec53d7d3f890e45",
)
SHA256 = {
    "train.ko.tsv": "b5aaa7f957d6ff46f4b6834a8b0f024a9234a6eefe9289aed66746b4533da3b8",
    "dev.ko.tsv": "d835b65b424401fbcce6be28a78159df8d61f5b19977ea7a0b83b8cb6105f393",
    "test.ko.tsv": "13f83a3440d9db52d134eb40303ce021b03264aa338fbf2871c8786ce04d2105",
    "train.en.csv": "0f71910b59aa1ad973c5897f0791f3b0965a92b8f82b1a95f3eea9f4162fda82",
    "dev.en.csv": "5d7e944d8b02734b07bfdb5df67db3420c64bed153fcaa1ba47ad03480cf4234",
    "test.en.csv": "affe45928a66ee5a708531233c95b7dacbbdc57f974f002a3d32ea0180cf816a",
}
SENTENCES = (5, 6)  # columns of both languages' files
DEV = 400  # drawn from the official dev split of KorSTS
TEST = 1_000  # drawn from its test split
TATOEBA_DEV = 150  # English sentences of Tatoeba, which has no official split
TATOEBA_TEST = 250


@dataclass(frozen=True, kw_only=True)
class Everyday:
    """Pairs of both sources in one direction, cut into tokens."""

    into_korean: bool
    cutting: Cutting

    def load(self) -> Dataset:
        """Reads both sources and makes the splits, the same for both directions."""
        official = {part: sts(part) for part in ("train", "dev", "test")}
        splits = split(official, _tatoeba(), self.cutting.seed)
        splits = splits if self.into_korean else turned(splits)
        return dataset(splits, self.cutting, cut="char" if self.into_korean else "13a")


def sts(part: str) -> list[Pair]:
    """The distinct sentence pairs of a part of KorSTS; its rows match one to one."""
    korean, english = _rows(f"{part}.ko.tsv", KOREAN), _rows(f"{part}.en.csv", ENGLISH)
    pairs = [
        Pair(english_row[column].strip(), korean_row[column].strip())
        for english_row, korean_row in zip(english, korean[1:], strict=True)
        for column in SENTENCES
    ]
    return [pair for pair in dict.fromkeys(pairs) if pair.source and pair.target]


def _rows(name: str, home: str) -> list[list[str]]:
    names = {KOREAN: f"sts-{name}", ENGLISH: f"sts-{name.split('.')[0]}.csv"}
    source = Source(path=f"korsts-stsb/sts-{name}", url=home + names[home], sha256=SHA256[name])
    return [line.split("\t") for line in source.read().decode().splitlines() if line]


def _tatoeba() -> list[Pair]:
    lines = TATOEBA.read().decode().splitlines()
    return [Pair(*line.split("\t")[:2]) for line in lines if line]


def split(official: dict[str, list[Pair]], tatoeba: list[Pair], seed: int) -> Splits:
    """Splits both sources so that no held-out sentence, in either language, is learned from.

    KorSTS keeps its official split, Tatoeba is split by its English sentences.
    """
    rng = random.Random(seed)
    sentences = sorted({plain(pair.source) for pair in tatoeba})
    rng.shuffle(sentences)
    chosen = {
        "test": set(sentences[:TATOEBA_TEST]),
        "dev": set(sentences[TATOEBA_TEST:][:TATOEBA_DEV]),
    }
    own = {
        part: _one_each([pair for pair in tatoeba if plain(pair.source) in names])
        for part, names in chosen.items()
    }
    tests = {
        "korsts test": _drawn(_one_each(official["test"]), TEST, rng),
        "tatoeba test": own["test"],
    }
    measured = [pair for pairs in tests.values() for pair in pairs]
    dev = _drawn(_apart(_one_each(official["dev"]), measured), DEV, rng)
    dev += _apart(own["dev"], measured)
    return Splits(
        train=_apart([*official["train"], *tatoeba], [*measured, *dev]), dev=dev, tests=tests
    )


def turned(splits: Splits) -> Splits:
    """The same splits in the other direction."""

    def turn(pairs: list[Pair]) -> list[Pair]:
        return [Pair(pair.target, pair.source) for pair in pairs]

    tests = {name: turn(pairs) for name, pairs in splits.tests.items()}
    return Splits(train=turn(splits.train), dev=turn(splits.dev), tests=tests)


def _one_each(pairs: list[Pair]) -> list[Pair]:
    """The first translation of each sentence."""
    return list({plain(pair.source): pair for pair in reversed(pairs)}.values())[::-1]


def _drawn(pairs: list[Pair], count: int, rng: random.Random) -> list[Pair]:
    return rng.sample(pairs, min(count, len(pairs)))


def _apart(pairs: list[Pair], others: list[Pair]) -> list[Pair]:
    """The pairs that share no sentence with others, in neither language."""
    english = {plain(pair.source) for pair in others}
    korean = {plain(pair.target) for pair in others}
    return [
        pair
        for pair in pairs
        if plain(pair.source) not in english and plain(pair.target) not in korean
    ]
