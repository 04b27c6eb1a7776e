"""What is said in Korean, and what is answered: pairs of a chat bot's script.

The data has no split of its own. Ours is by distinct question, so that no held-out question was
learned from. Answers cannot be held out so: the script gives one answer to many questions that
differ in a word ("맛있게 드세요." to 22 of them), so half of the held-out answers stand in the
training pairs as well. Figures are told of both halves.
"""

import csv
import io
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepwire_training.data.batches import Dataset, Pair
from stepwire_training.data.fetch import Source
from stepwire_training.data.parallel import Cutting, Splits, dataset, plain

SCRIPT = Source(
    path="korean-chatbot/ChatbotData.csv",
    url="https://raw.githubusercontent.com/songys/Chatbot_data/master/ChatbotData.csv",
    sha256="287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2",
)
SEED = 1
DEV = TEST = 500  # distinct questions
KNOWN, NEW = "test, answers of training", "test, new answers"
SWAPPED = "test, other questions"


@dataclass(frozen=True, kw_only=True)
class Chat:
    """Questions and answers, cut into tokens."""

    cutting: Cutting

    def load(self) -> Dataset:
        """Reads the script and splits it."""
        said = script()
        pairs = distinct(said)
        splits = split(pairs)
        made = dataset(splits, self.cutting, free=True)
        return replace(
            made,
            facts={
                **made.facts,
                "repeated pairs left out": len(said) - len(pairs),
                "questions held out that are learned from": overlap(splits),
            },
        )


def script() -> list[Pair]:
    """Every line of it, composed (NFC)."""
    lines = csv.DictReader(io.StringIO(SCRIPT.read().decode()))
    sides = [(line["Q"], line["A"]) for line in lines]
    return [Pair(*(unicodedata.normalize("NFC", side).strip() for side in pair)) for pair in sides]


def distinct(pairs: Sequence[Pair]) -> list[Pair]:
    """The first of each pair; case, punctuation and spacing make none another."""
    first: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        first.setdefault((plain(pair.source), plain(pair.target)), pair)
    return list(first.values())


def split(pairs: Sequence[Pair]) -> Splits:
    """Splits by distinct question; one that has several answers keeps them together.

    The test pairs come as one, and in parts: by whether the answer stands in a training pair,
    and each answer behind the question of the pair before it, to tell what questions are worth.
    """
    by_question: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_question.setdefault(plain(pair.source), []).append(pair)
    questions = sorted(by_question)
    random.Random(SEED).shuffle(questions)
    test, dev, train = (
        [pair for question in part for pair in by_question[question]]
        for part in (questions[:TEST], questions[TEST:][:DEV], questions[TEST + DEV :])
    )
    learned = {plain(pair.target) for pair in train}
    return Splits(
        train=train,
        dev=dev,
        tests={
            "test": test,
            KNOWN: [pair for pair in test if plain(pair.target) in learned],
            NEW: [pair for pair in test if plain(pair.target) not in learned],
            SWAPPED: [Pair(before.source, it.target) for before, it in swapped(test)],
        },
    )


def swapped(pairs: Sequence[Pair]) -> list[tuple[Pair, Pair]]:
    """Each pair with the one before it, the first with the last."""
    return list(zip([*pairs[-1:], *pairs[:-1]], pairs, strict=True))


def overlap(splits: Splits) -> int:
    """How many held-out questions are learned from."""
    learned = {plain(pair.source) for pair in splits.train}
    held = {plain(pair.source) for pair in [*splits.dev, *splits.tests["test"]]}
    return len(learned & held)
