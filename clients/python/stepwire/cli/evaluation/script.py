"""The test split of a chat bot's script, drawn as those who trained on the rest drew it."""

import csv
import io
import random
import unicodedata
from collections.abc import Sequence

from stepwire.cli.evaluation.answering import Answered
from stepwire.cli.evaluation.files import File
from stepwire.cli.evaluation.pairs import Pair, plain

SCRIPT = File(
    path="korean-chatbot/ChatbotData.csv",
    sha256="287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2",
)
SEED = 1
COUNT = 500  # distinct questions of the test split; as many of the dev split follow


def chat() -> list[Answered]:
    """Korean questions and their answers: the first distinct questions, mixed."""
    by_question: dict[str, list[Pair]] = {}
    for pair in _distinct():
        by_question.setdefault(plain(pair.source), []).append(pair)
    questions = sorted(by_question)
    random.Random(SEED).shuffle(questions)
    learned = {plain(pair.target) for it in questions[2 * COUNT :] for pair in by_question[it]}
    test = [pair for question in questions[:COUNT] for pair in by_question[question]]
    return [Answered(*pair, known=plain(pair.target) in learned) for pair in test]


def elsewhere() -> list[Answered]:
    """The same answers, each behind the question of the pair before it."""
    test = chat()
    before = [*test[-1:], *test[:-1]]
    return [it._replace(source=other.source) for it, other in zip(test, before, strict=True)]


def _distinct() -> Sequence[Pair]:
    """The first of each pair, composed; case, punctuation and spacing make none another."""
    lines = csv.DictReader(io.StringIO(SCRIPT.read().decode()))
    sides = [(line["Q"], line["A"]) for line in lines]
    first: dict[tuple[str, str], Pair] = {}
    for source, target in sides:
        pair = Pair(*(unicodedata.normalize("NFC", side).strip() for side in (source, target)))
        first.setdefault((plain(pair.source), plain(pair.target)), pair)
    return list(first.values())
