import os
from pathlib import Path

import pytest

from stepwire_training.data.batches import Shard
from stepwire_training.data.long_texts import Parts, seen_before
from stepwire_training.data.wikitext import END, FILES, WikiText, split, words

LINES = (
    " \n = Robert <unk> = \n \n Robert <unk> is an English film , television and theatre actor . \n"
)
TEXTS = {"train": LINES * 40, "valid": LINES * 20, "test": LINES * 3}
CONFIG = WikiText(rows=2, length=8, seed=1)


@pytest.fixture(scope="module")
def dataset():
    return split(TEXTS, CONFIG)


def test_every_line_counts_one_word_more():
    assert words(" \n = Robert = \n") == 2 + 3
    assert words(LINES) == 4 + 12 + 4


def test_a_text_comes_back_from_its_words(dataset):
    decoded = dataset.tokenizer.decode(dataset.tokenizer.encode(LINES).ids)
    assert decoded == LINES.removeprefix(" ")


def test_a_token_is_a_word_or_the_end_of_a_line(dataset):
    tokens = dataset.tokenizer.encode(LINES).tokens
    assert len(tokens) == words(LINES)
    assert tokens.count(END) == LINES.count("\n")


def test_the_commonest_words_have_the_lowest_numbers(dataset):
    seen = dataset.tokenizer.encode(TEXTS["train"]).ids
    counts = [seen.count(number) for number in range(dataset.tokenizer.get_vocab_size())]
    assert counts == sorted(counts, reverse=True)


def test_a_word_that_is_not_known_is_read_as_the_corpus_writes_rare_ones(dataset):
    encode = dataset.tokenizer.encode
    assert encode("Robert Kowalski").ids == encode("Robert <unk>").ids


def test_every_word_of_the_test_text_is_predicted(dataset):
    chunks = [dataset.test.batch(step, Shard()) for step in range(len(dataset.test))]
    wanted = [target for chunk in chunks for target in chunk.targets[0].tolist()]

    assert wanted == dataset.tokenizer.encode(TEXTS["test"]).ids
    assert dataset.words == words(TEXTS["test"])
    (first,), _, _ = dataset.test.batch(0, Shard())
    assert dataset.tokenizer.id_to_token(int(first[0, 0])) == END


def test_a_text_costs_the_same_however_its_spaces_are_set(dataset):
    encode = dataset.tokenizer.encode
    assert encode("Robert\nis").ids == encode(" Robert \n is").ids == encode("Robert  \n  is").ids


def test_of_the_lines_that_are_measured_one_heading_alone_is_learned_from():
    data = os.environ.get("STEPWIRE_DATA") or Path(__file__).parents[4] / "shared/data"
    if not (Path(data) / "wikitext-2/test.txt.gz").exists():
        pytest.skip("WikiText-2 is not at hand; set STEPWIRE_DATA")
    texts = {name: file.read().decode() for name, file in FILES.items()}

    assert seen_before(Parts(texts["train"], texts["valid"], texts["test"])) == 1
