"""Text that the code makes up itself: learned in seconds, needs no files. For tests."""

import random
from dataclasses import dataclass

from stepwire_training.data import nsmc, shakespeare
from stepwire_training.data.batches import Dataset, Pair
from stepwire_training.data.nsmc import Review
from stepwire_training.data.parallel import Cutting, Splits, dataset

WHO = ("the king", "a fool", "my lady", "the ghost")
GOOD = ("smiles at", "praises", "adores")
BAD = ("curses", "betrays", "forgets")


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """A text of short sentences, for a generator."""

    rows: int
    length: int
    seed: int

    def load(self) -> Dataset:
        """Makes the text up; its last tenth validates."""
        text = "".join(f"{review.text}.\n" for review in make_reviews(400, self.seed))
        config = shakespeare.Characters(rows=self.rows, length=self.length, seed=self.seed)
        return shakespeare.split(text, config)


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Sentences that are friendly or not, for a classifier."""

    rows: int
    seed: int

    def load(self) -> Dataset:
        """Makes the sentences up."""
        config = nsmc.Reviews(
            tokens="bpe", vocabulary=60, rows=self.rows, take_apart=0.2, seed=self.seed
        )
        train, test = make_reviews(400, self.seed), make_reviews(100, self.seed + 1)
        # The grammar has few sentences; a number keeps those of the two splits apart.
        return nsmc.split(_numbered(train, "now"), _numbered(test, "then"), config)


@dataclass(frozen=True, kw_only=True)
class Countdowns:
    """Digits and the same digits from their end, for a translator."""

    cutting: Cutting

    def load(self) -> Dataset:
        """Makes the digits up."""
        pairs = make_countdowns(700, self.cutting.seed)
        splits = Splits(train=pairs[80:], dev=pairs[:40], tests={"test": pairs[40:80]})
        return dataset(splits, self.cutting)


def make_countdowns(count: int, seed: int) -> list[Pair]:
    """Pairs of different sources, of two to five digits."""
    rng = random.Random(seed)
    made: dict[str, Pair] = {}
    while len(made) < count:
        digits = [str(rng.randrange(10)) for _ in range(rng.randrange(2, 6))]
        source, target = " ".join(digits) + ".", " ".join(reversed(digits)) + "!"
        made[source] = Pair(source, target)
    return list(made.values())


def make_reviews(count: int, seed: int) -> list[Review]:
    """Sentences with their verdicts: 1 for a friendly verb, 0 for another."""
    rng = random.Random(seed)
    return [_make_review(rng) for _ in range(count)]


def _make_review(rng: random.Random) -> Review:
    label = rng.randrange(2)
    verb = rng.choice((BAD, GOOD)[label])
    return Review(f"{rng.choice(WHO)} {verb} {rng.choice(WHO)}", label)


def _numbered(reviews: list[Review], word: str) -> list[Review]:
    return [Review(f"{text} {word} {n}", label) for n, (text, label) in enumerate(reviews)]
