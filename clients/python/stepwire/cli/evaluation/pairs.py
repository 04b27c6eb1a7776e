"""The test splits of translators, drawn as those who trained on the rest drew them."""

import io
import random
import unicodedata
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

from stepwire.cli.evaluation.files import File

CAPTIONS = {
    "test_2016.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "test_2016.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016.fr": "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    "test_2017.en": "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98",
    "test_2017.de": "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081",
    "test_2017.fr": "6f3764e31dac41e9455e612958bcfd4e877c5e15cd66df2c2b2be6d9bd83e5b6",
}
TATOEBA = File(
    path="tatoeba-eng-fra/fra-eng.zip",
    sha256="16c4f7d0df9e7c5e6c54cdb0447f3f4a18a55052ff5e2e0b27dd4a06c0e49d04",
)
TATOEBA_FIRST, TATOEBA_COUNT = 1_000, 2_000  # of the sentences, mixed; the others before chose
EVERYDAY = {
    "ko": File(
        path="korsts-stsb/sts-test.ko.tsv",
        sha256="13f83a3440d9db52d134eb40303ce021b03264aa338fbf2871c8786ce04d2105",
    ),
    "en": File(
        path="korsts-stsb/sts-test.en.csv",
        sha256="affe45928a66ee5a708531233c95b7dacbbdc57f974f002a3d32ea0180cf816a",
    ),
}
SENTENCES = (5, 6)  # columns of both files
KOREAN_TATOEBA = File(
    path="tatoeba-eng-kor/kor.txt",
    sha256="35e30cc324d286dedfdbd16ba085c24de828bfe7fedd7b77aec53d7d3f890e45",
)
KORSTS_COUNT, KOREAN_TATOEBA_COUNT = 1_000, 250
SEED = 1


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


def multi30k(into: str, part: str) -> list[Pair]:
    """Captions of photographs in English, and what they are in another language."""
    english, other = _captions(f"{part}.en"), _captions(f"{part}.{into}")
    return [Pair(*texts) for texts in zip(english, other, strict=True)]


def _captions(name: str) -> list[str]:
    part, language = name.split(".")
    file = File(path=f"multi30k/{part}_flickr.{language}", sha256=CAPTIONS[name])
    return [line.strip() for line in file.read().decode().rstrip("\n").split("\n")]


def tatoeba() -> list[Pair]:
    """English sentences of every day, each with the first of its French translations."""
    with zipfile.ZipFile(io.BytesIO(TATOEBA.read())) as archive:
        lines = archive.read("fra.txt").decode().rstrip("\n").split("\n")
    first = one_each([Pair(*line.split("\t")[:2]) for line in lines])
    by_sentence = {plain(pair.source): pair for pair in first}
    sentences = sorted(by_sentence)
    random.Random(SEED).shuffle(sentences)
    return [by_sentence[it] for it in sentences[TATOEBA_FIRST:][:TATOEBA_COUNT]]


def korsts() -> list[Pair]:
    """English sentences of KorSTS and their Korean, a part of its test split."""
    return everyday()[0]


def korean_tatoeba() -> list[Pair]:
    """English sentences of every day and their Korean."""
    return everyday()[1]


def everyday() -> tuple[list[Pair], list[Pair]]:
    """Both, for one random sequence draws them."""
    lines = KOREAN_TATOEBA.read().decode().splitlines()
    pairs = [Pair(*line.split("\t")[:2]) for line in lines if line]
    rng = random.Random(SEED)
    sentences = sorted({plain(pair.source) for pair in pairs})
    rng.shuffle(sentences)
    chosen = set(sentences[:KOREAN_TATOEBA_COUNT])
    own = one_each([pair for pair in pairs if plain(pair.source) in chosen])
    official = one_each(_sts())
    return rng.sample(official, min(KORSTS_COUNT, len(official))), own


def _sts() -> list[Pair]:
    """The distinct pairs of the test split; the rows of its two files match one to one."""
    korean, english = (
        [line.split("\t") for line in EVERYDAY[language].read().decode().splitlines() if line]
        for language in ("ko", "en")
    )
    pairs = [
        Pair(a[column].strip(), b[column].strip())
        for a, b in zip(english, korean[1:], strict=True)
        for column in SENTENCES
    ]
    return [pair for pair in dict.fromkeys(pairs) if pair.source and pair.target]


def turned(pairs: Sequence[Pair]) -> list[Pair]:
    """The same in the other direction."""
    return [Pair(pair.target, pair.source) for pair in pairs]


def one_each(pairs: Sequence[Pair]) -> list[Pair]:
    """The first translation of each sentence, in the order in which sentences come last."""
    return list({plain(pair.source): pair for pair in reversed(pairs)}.values())[::-1]


def plain(text: str) -> str:
    """A sentence less case, punctuation and spacing: what makes two the same."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())
