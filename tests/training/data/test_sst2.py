import os
from pathlib import Path

import pytest

from stepwire_training.data import sst2
from stepwire_training.data.batches import Shard
from stepwire_training.data.nsmc import Review
from stepwire_training.data.sst2 import Sentences

CUTTING = Sentences(vocabulary=90, about=3, beside=2, rows=2, seed=1)
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


def test_tokens_are_numbered_by_how_often_training_has_them(dataset):
    numbers = dataset.tokenizer.get_vocab()
    tokens = sorted(numbers, key=numbers.__getitem__)
    assert tokens[0] == "<unk>"
    seen = [
        token
        for review in SPLITS["train"][:3]
        for token in dataset.tokenizer.encode(review.text).tokens
    ]
    counts = [seen.count(token) for token in tokens[1:]]
    assert counts == sorted(counts, reverse=True)


def test_a_word_that_nobody_has_heard_is_read_in_pieces(dataset):
    encoding = dataset.tokenizer.encode("Filmed")
    assert encoding.tokens == ["\u2581film", "e", "d"]
    assert encoding.offsets == [(0, 4), (4, 5), (5, 6)]
    assert dataset.facts["test words"] == 6
    assert dataset.facts["pieces of test words behind their first"] > 6


def test_the_tokenizer_comes_out_the_same_every_time(dataset):
    again = sst2.split(SPLITS, UNLABELLED, CUTTING).tokenizer
    assert again.to_str() == dataset.tokenizer.to_str()


def test_vectors_are_of_every_token_and_of_both_kinds(dataset):
    assert dataset.vectors is not None
    vectors = dataset.vectors()
    assert vectors.shape == (dataset.sizes[0], CUTTING.about + CUTTING.beside)
    numbers = dataset.tokenizer.get_vocab()
    assert vectors[numbers["\u2581film"]].any()


def test_a_batch_is_of_tokens(dataset):
    (tokens, lengths), targets, _ = dataset.test.batch(0, Shard())
    assert sorted(targets.tolist()) == [0, 1]
    assert tokens.shape == (2, lengths.max())


def test_nothing_that_is_learned_from_is_measured():
    data = os.environ.get("STEPWIRE_DATA") or Path(__file__).parents[4] / "shared/data"
    if not (Path(data) / "sst2/train.tsv.gz").exists():
        pytest.skip("the treebank is not at hand; set STEPWIRE_DATA")
    splits = {name: sst2.parse(source.read()) for name, source in sst2.SOURCES.items()}
    dataset = sst2.split(splits, [], CUTTING)
    assert dataset.facts["training sentences dropped as also in test"] == 3
    assert dataset.facts["training sentences"] == 6_917
    assert (dataset.facts["dev sentences"], dataset.facts["test sentences"]) == (872, 1_821)
