import pytest

from stepwire_training.data.batches import Shard
from stepwire_training.data.wikitext import END, WikiText, split, words

LINES = (
    " \n = Robert <unk> = \n \n Robert <unk> is an English film , television and theatre actor . \n"
)
TEXTS = {"train": LINES * 40, "valid": LINES * 20, "test": LINES * 3}
CONFIG = WikiText(vocabulary=60, rows=2, length=8, seed=1)


@pytest.fixture(scope="module")
def dataset():
    return split(TEXTS, CONFIG)


def test_every_line_counts_one_word_more():
    assert words(" \n = Robert = \n") == 2 + 3
    assert words(LINES) == 4 + 12 + 4


def test_a_text_comes_back_from_its_pieces(dataset):
    decoded = dataset.tokenizer.decode(dataset.tokenizer.encode(LINES).ids)
    assert decoded == LINES.removeprefix(" ")


def test_pieces_end_where_words_do(dataset):
    tokens = dataset.tokenizer.encode(LINES).tokens
    assert sum(token.startswith("\u2581") for token in tokens) == words(LINES)
    assert tokens.count(END) == LINES.count("\n")


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
