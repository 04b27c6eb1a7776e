import os
from pathlib import Path

import pytest

from stepwire_training.data import sst2
from stepwire_training.data.batches import Shard
from stepwire_training.data.nsmc import Review
from stepwire_training.data.sst2 import Sentences

CUTTING = Sentences(vocabulary=20, about=3, beside=2, rows=2, seed=1)
SPLITS = {
    "train": [
        Review("a fine film", 1),
        Review("a dull film", 0),
        Review("once more , a film", 1),
        Review("known to dev", 1),
        Review("known to test", 0),
        Review("known to test", 0),
    ],
    "dev": [Review("known to dev", 1)],
    "test": [Review("known to test", 0), Review("an unheard word", 1)],
}
UNLABELLED = [["A", "novel", "has", "a", "novel", "ending"], ["has", "it"]]


@pytest.fixture(scope="module")
def dataset():
    return sst2.split(SPLITS, UNLABELLED, CUTTING)


def test_a_file_is_read_line_by_line():
    assert sst2.parse(b"good , indeed\t1\nbad\t0\n") == [
        Review("good , indeed", 1),
        Review("bad", 0),
    ]


def test_sentences_that_are_measured_are_not_learned_from_and_that_is_counted(dataset):
    assert dataset.facts["training sentences"] == 3
    assert dataset.facts["training sentences dropped as also in dev"] == 1
    assert dataset.facts["training sentences dropped as also in test"] == 2


def test_words_of_the_sentences_come_first_then_others_that_are_seen_twice(dataset):
    numbers = dataset.tokenizer.get_vocab()
    words = sorted(numbers, key=numbers.__getitem__)
    assert words == ["<unk>", "a", "film", ",", "dull", "fine", "more", "once", "has", "novel"]
    assert dataset.facts["test words without a number of their own"] == 6


def test_vectors_are_of_every_word_and_of_both_kinds(dataset):
    assert dataset.vectors is not None
    vectors = dataset.vectors()
    assert vectors.shape == (10, CUTTING.about + CUTTING.beside)
    numbers = dataset.tokenizer.get_vocab()
    assert vectors[numbers["novel"]].any()


def test_a_batch_is_of_words(dataset):
    (tokens, lengths), targets, _ = dataset.test.batch(0, Shard())
    assert (sorted(lengths.tolist()), sorted(targets.tolist())) == ([3, 3], [0, 1])
    assert tokens.shape == (2, 3)


def test_nothing_that_is_learned_from_is_measured():
    data = os.environ.get("STEPWIRE_DATA") or Path(__file__).parents[4] / "shared/data"
    if not (Path(data) / "sst2/train.tsv.gz").exists():
        pytest.skip("the treebank is not at hand; set STEPWIRE_DATA")
    splits = {name: sst2.parse(source.read()) for name, source in sst2.SOURCES.items()}
    dataset = sst2.split(splits, [], CUTTING)
    assert dataset.facts["training sentences dropped as also in test"] == 3
    assert dataset.facts["training sentences"] == 6_917
    assert (dataset.facts["dev sentences"], dataset.facts["test sentences"]) == (872, 1_821)
