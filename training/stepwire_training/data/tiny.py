"""Texts and series that the code makes up itself: learned in seconds, no files. For tests."""

import random
from dataclasses import dataclass, replace

import numpy as np

from stepwire_training.data import ett, nab, nsmc, shakespeare, sst2, tagged, worded
from stepwire_training.data.batches import Dataset, Pair
from stepwire_training.data.cells import Near
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.corpus import Counted
from stepwire_training.data.likeness import Likeness, Question, Tests
from stepwire_training.data.nsmc import Review
from stepwire_training.data.observed import Labelled, Rows
from stepwire_training.data.parallel import Cutting, Splits, dataset
from stepwire_training.data.series import Cut
from stepwire_training.data.tagged import Reading
from stepwire_training.data.windows import Beside

WHO = ("the king", "a fool", "my lady", "the ghost")
GOOD = ("smiles at", "praises", "adores")
BAD = ("curses", "betrays", "forgets")
TIDE = 12  # rows of a cycle
BEASTS, DOES = ("cat", "dog", "cow", "hen"), ("eats", "sleeps", "plays", "drinks")
TOOLS, CAN = ("saw", "axe", "drill", "rasp"), ("cuts", "breaks", "rusts", "splits")


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
class Opinions:
    """The same sentences as words, for a classifier that says what it looked at."""

    cutting: sst2.Sentences

    def load(self) -> Dataset:
        """Makes the sentences up; one of the training split is in the test split too."""
        seed = self.cutting.seed
        every = _numbered(make_reviews(600, seed), "now")
        splits = {"train": [*every[200:], every[0]], "dev": every[100:200], "test": every[:100]}
        return sst2.split(splits, [review.text.split() for review in every[200:]], self.cutting)


@dataclass(frozen=True, kw_only=True)
class Countdowns:
    """Digits and the same digits from their end, for a translator."""

    cutting: Cutting
    free: bool = False  # whether they are taken for one of many answers

    def load(self) -> Dataset:
        """Makes the digits up."""
        pairs = make_countdowns(700, self.cutting.seed)
        splits = Splits(train=pairs[80:], dev=pairs[:40], tests={"test": pairs[40:80]})
        return dataset(splits, self.cutting, free=self.free)


@dataclass(frozen=True, kw_only=True)
class Tides:
    """Two columns that rise and fall together, for a forecaster."""

    cut: Cut
    seed: int

    def load(self) -> Dataset:
        """Makes the series up; its last two fifths choose and measure."""
        config = ett.Transformer(columns=("tide", "wind"), cut=self.cut, seed=self.seed)
        data = ett.split(make_tides(1_000, self.seed), config, ends=(600, 800, 1_000))
        assert data.series is not None
        return replace(data, series=replace(data.series, season=TIDE))


@dataclass(frozen=True, kw_only=True)
class Pulses:
    """Streams of one value at several scales, each with a jump, for a finder of anomalies."""

    cut: Cut
    seed: int

    def load(self) -> Dataset:
        """Makes the streams up; every other one is held out."""
        streams = [make_pulse(number, self.seed) for number in range(8)]
        return nab.split(streams, nab.Anomalies(cut=self.cut, seed=self.seed))


@dataclass(frozen=True, kw_only=True)
class Clauses:
    """Short clauses with a tag for every word, for a tagger."""

    reading: Reading
    judged: bool = False  # whether there is a label for every clause too

    def load(self) -> Dataset:
        """Makes the clauses up; one of the training split is in the test split too."""
        every = make_clauses(300, self.reading.seed)
        if not self.judged:
            every = [clause._replace(label="") for clause in every]
        return tagged.split(
            tagged.Splits([*every[100:], every[0]], every[50:100], every[:50]), self.reading
        )


@dataclass(frozen=True, kw_only=True)
class Farm:
    """What beasts and tools do, for word vectors."""

    counted: Counted
    learned: Beside | Near

    def load(self) -> Dataset:
        """Makes the sentences up; a few more choose."""
        beasts = [Likeness(one, other, 9.0) for one in BEASTS for other in BEASTS if one < other]
        mixed = [Likeness(one, other, 1.0) for one in BEASTS for other in TOOLS]
        farm = [Question(one, f"{one}s", other, f"{other}s") for one in BEASTS for other in BEASTS]
        tests = Tests(
            pairs={"farm": [*beasts, *mixed, Likeness("catty", "cat", 9.0)]},
            questions={"plurals": [it for it in farm if it.first != it.third]},
        )
        splits = make_farm(600, 1), make_farm(60, 2)
        return worded.dataset(splits, self.counted, self.learned, tests)


def make_farm(count: int, seed: int) -> list[list[str]]:
    """Sentences such as "the two cats may play" and "a saw cuts well"."""
    rng = random.Random(seed)
    return [_make_doing(rng) for _ in range(count)]


def _make_doing(rng: random.Random) -> list[str]:
    who, does, how = rng.choice(((BEASTS, DOES, "gladly"), (TOOLS, CAN, "well")))
    one, verb = rng.choice(who), rng.choice(does)
    if rng.random() < 0.5:
        return ["a", one, verb, how]
    return ["the", "two", f"{one}s", "may", verb[:-1], how]


def make_clauses(count: int, seed: int) -> list[Sentence]:
    """Different clauses, such as "A duck ducks 17."; which of the two it is, its place says.

    Each is labelled by whom it is about, an animal or a thing.
    """
    rng = random.Random(seed)
    made: dict[tuple[str, ...], Sentence] = {}
    while len(made) < count:
        who, does = rng.choice(("duck", "fish", "watch")), rng.choice(("ducks", "fishes", "sees"))
        words = (rng.choice(("A", "The")), who, does, str(rng.randrange(100)), ".")
        tags = ("DET", "NOUN", "VERB", "NUM", "PUNCT")
        label = "thing" if who == "watch" else "animal"
        made[words] = Sentence(words, tags, (True, True, True, False, True), label)
    return list(made.values())


def make_tides(rows: int, seed: int) -> Rows:
    """A cycle of TIDE rows about 10, and another column behind it: [rows, 2]."""
    rng = np.random.default_rng(seed)
    turns = np.arange(rows) / TIDE
    tide = 10.0 + 3.0 * np.sin(2.0 * np.pi * turns) + 0.1 * rng.normal(size=rows)
    wind = 0.5 * np.roll(tide, 2) + 0.1 * rng.normal(size=rows)
    return np.stack([tide, wind], axis=1).astype(np.float32)


def make_pulse(number: int, seed: int) -> Labelled:
    """A stream of 400 values, the larger the higher its number, with one jump in a window."""
    rng = np.random.default_rng([seed, number])
    values = np.sin(2.0 * np.pi * np.arange(400) / TIDE) + 0.05 * rng.normal(size=400)
    place = int(rng.integers(150, 380))
    values[place] += 6.0
    rows = (10.0**number * (5.0 + values)).astype(np.float32)
    return Labelled(f"pulse {number}", rows[:, None], ((place - 5, place + 5),))


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
