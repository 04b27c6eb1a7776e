"""What the load sends: prompts, and reviews and captions from the data if they are there."""

import gzip
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from stepwire_zoo.bundle import Bundle

BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"
REVIEWS = "nsmc/ratings_test.txt.gz"
CAPTIONS = "multi30k/test_2016_flickr.en.gz"
GERMAN = "multi30k/test_2016_flickr.de.gz"

# Every generator of the zoo knows these characters.
_WORDS = ("the", "king", "and", "his", "fool", "speak", "of", "love", "war", "night", "or", "sea")
_CAPTION_WORDS = (
    *("a", "the", "man", "woman", "two", "dogs", "young", "girl", "in", "red", "shirt", "on"),
    *("street", "playing", "with", "ball", "is", "standing", "near", "water", "people", "and"),
)
_KOREAN_WORDS = (
    *(
        "정말",
        "재미있는",
        "영화",
        "였어요",
        "배우들의",
        "연기가",
        "좋았고",
        "다시",
        "보고",
        "싶습니다",
    ),
    *("지루해서", "중간에", "나왔다", "최고의", "감동", "스토리가", "너무", "뻔하고", "음악은"),
    *("괜찮은데", "시간이", "아까웠음", "추천", "합니다", "별로", "기대", "이하", "ㅋㅋ", "완전"),
)


@dataclass(frozen=True, kw_only=True)
class Captions:
    """Sentences to translate."""

    sentences: list[str]
    references: list[str]  # what people made of them; none where they are made up
    source: str


def prompts(count: int) -> list[str]:
    """Short beginnings of different lengths, the same in every run."""
    rng = random.Random(1)
    return [" ".join(rng.choices(_WORDS, k=rng.randint(1, 4))) + " " for _ in range(count)]


def reviews(most: int = 2_000) -> tuple[list[str], str]:
    """Reviews to classify, the same in every run, and where they come from."""
    if (_folder() / REVIEWS).is_file():
        lines = _lines(REVIEWS)[1:]
        texts = [text for line in lines if line and (text := line.split("\t")[1].strip())]
        return random.Random(1).sample(texts, most), "NSMC, official test split"
    return made_up(most), "made up, lengths as in NSMC"


def captions() -> Captions:
    """Captions of photographs, the same in every run."""
    if (_folder() / CAPTIONS).is_file() and (_folder() / GERMAN).is_file():
        return Captions(
            sentences=_lines(CAPTIONS), references=_lines(GERMAN), source="Multi30k, test_2016"
        )
    rng = random.Random(1)
    sentences = [
        " ".join(rng.choices(_CAPTION_WORDS, k=min(max(round(rng.gauss(11, 4)), 4), 28))) + "."
        for _ in range(1_000)
    ]
    return Captions(sentences=sentences, references=[], source="made up, lengths as in Multi30k")


def _folder() -> Path:
    return Path(os.environ.get("STEPWIRE_DATA", BESIDE_CHECKOUT))


def _lines(name: str) -> list[str]:
    return gzip.decompress((_folder() / name).read_bytes()).decode().rstrip("\n").split("\n")


def made_up(count: int) -> list[str]:
    """Korean words without sense whose lengths are spread like those of the NSMC test split.

    There the median is 27 characters, the mean 35, and one in ten has more than 75.
    """
    rng = random.Random(1)
    texts = []
    for _ in range(count):
        length = min(max(round(rng.lognormvariate(3.3, 0.75)), 2), 140)
        texts.append(" ".join(rng.choices(_KOREAN_WORDS, k=length))[:length])
    return texts


def of_one_length(texts: Sequence[str], bundle: Bundle) -> list[str]:
    """The texts of the length that most of them have, in tokens of a classifier."""
    file = bundle.folder / bundle.manifest.tokenizer.file
    encoded = tokenizers.Tokenizer.from_file(str(file)).encode_batch(list(texts))
    lengths = [len(each.ids) for each in encoded]
    [(usual, _)] = Counter(lengths).most_common(1)
    return [text for text, length in zip(texts, lengths, strict=True) if length == usual]
