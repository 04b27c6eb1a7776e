"""Held-out sentences that nobody learned from."""

from stepwire_training.data import everyday, tatoeba
from stepwire_training.data.batches import Pair
from stepwire_training.data.everyday import turned
from stepwire_training.data.parallel import Splits, plain


def numbered(count: int, word: str) -> list[Pair]:
    """Sentences that come twice, in other spelling and with another translation."""
    once = [Pair(f"{word} number {n}.", f"{word}-{n}") for n in range(count)]
    return once + [Pair(f"{word.upper()} number {n}!", f"{word}={n} anders") for n in range(count)]


def sentences(splits: Splits) -> list[set[str]]:
    parts = [splits.train, splits.dev, *splits.tests.values()]
    return [{plain(pair.source) for pair in part} for part in parts]


def assert_apart(parts: list[set[str]]) -> None:
    for index, part in enumerate(parts):
        for other in parts[index + 1 :]:
            assert not part & other


def test_no_english_sentence_of_tatoeba_is_in_two_splits():
    splits = tatoeba.split(numbered(4_000, "Word"), seed=1)

    assert_apart(sentences(splits))
    assert len(splits.dev) == 1_000
    assert len(splits.tests["test"]) == 2_000
    assert len(splits.train) == 2 * 1_000


def test_a_split_is_the_same_every_time_and_another_for_another_seed():
    pairs = numbered(4_000, "Word")

    assert tatoeba.split(pairs, seed=1) == tatoeba.split(pairs, seed=1)
    assert tatoeba.split(pairs, seed=1) != tatoeba.split(pairs, seed=2)


def made_up() -> Splits:
    shared = numbered(30, "Shared")
    official = {
        "train": numbered(900, "Train") + shared,
        "dev": numbered(300, "Dev") + shared[:20],
        "test": numbered(700, "Test") + shared[:10],
    }
    return everyday.split(official, numbered(600, "Own") + shared, seed=1)


def test_no_held_out_sentence_is_learned_from_in_either_language():
    splits = made_up()
    measured = [*splits.dev, *(pair for pairs in splits.tests.values() for pair in pairs)]

    assert not {plain(p.source) for p in splits.train} & {plain(p.source) for p in measured}
    assert not {plain(p.target) for p in splits.train} & {plain(p.target) for p in measured}
    assert not {plain(p.source) for p in splits.dev} & {
        plain(p.source) for pairs in splits.tests.values() for p in pairs
    }


def test_both_directions_hold_out_the_same():
    splits = made_up()
    back = turned(turned(splits))

    assert back == splits
    assert turned(splits).dev[0] == Pair(splits.dev[0].target, splits.dev[0].source)
