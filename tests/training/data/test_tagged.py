from dataclasses import replace

import numpy as np
import torch

from stepwire_training.data import writing
from stepwire_training.data.batches import PADDING, Shard
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.tagged import Reading, Splits, split
from stepwire_training.data.tiny import make_clauses

READING = Reading(cutting="english", vocabulary=50, vectors=4, characters=5, rows=7, seed=1)


def a_sentence(text: str, tag: str = "X") -> Sentence:
    words = tuple(text.split())
    return Sentence(words, (tag,) * len(words), (True,) * len(words))


def clauses():
    return [clause._replace(label="") for clause in make_clauses(60, 1)]


def some(every=(), **changes):
    every = every or clauses()
    return Splits(**{"train": every[20:], "dev": every[:10], "test": every[10:20], **changes})


def test_a_sentence_that_is_also_in_the_test_split_is_dropped():
    splits = some()
    dataset = split(replace(splits, train=[*splits.train, *splits.test[:3]]), READING)

    assert dataset.facts["training sentences dropped as also in test"] == 3
    assert dataset.facts["training sentences"] == 40


def test_batches_hold_words_characters_and_tags_of_the_same_places():
    dataset = split(some(), replace(READING, forget=0.0))
    (tokens, characters, lengths), tags, fresh = dataset.train.batch(0, Shard())

    assert fresh
    assert tokens.shape == tags.shape == characters.shape[:2]
    assert characters.shape[2] == 5
    of_word = dataset.tokenizer.get_vocab()
    first = [letter for letter, n in dataset.tagging.characters.get_vocab().items() if n > 0]
    assert {"a", "d"} <= set(first)
    full_stop = of_word["."]
    for row, length in enumerate(lengths.tolist()):
        assert tokens[row, length - 1] == full_stop
        assert dataset.labels[tags[row, length - 1]] == "PUNCT"
        assert (tags[row, length:] == PADDING).all()


def test_a_batch_is_a_function_of_its_step():
    first, second = (split(some(), READING).train for _ in range(2))
    for step in (0, 3, 11):
        one, other = first.batch(step, Shard()), second.batch(step, Shard())
        assert all(torch.equal(a, b) for a, b in zip(one.inputs, other.inputs, strict=True))
        assert torch.equal(one.targets, other.targets)


def test_rare_words_are_read_as_unknown_more_often():
    often = split(some(), replace(READING, forget=1e9)).train.batch(0, Shard()).inputs[0]
    never = split(some(), replace(READING, forget=0.0)).train.batch(0, Shard()).inputs[0]

    assert (often == 0).all()
    assert (never > 0).float().mean() > 0.5


def test_words_of_training_come_before_words_of_other_text():
    dataset = split(some(untagged=[["unheard", "of"]] * 9), READING)
    numbers = dataset.tokenizer.get_vocab()

    assert numbers["<unk>"] == 0
    assert numbers["duck"] < numbers["unheard"]
    assert dataset.facts["words of text without tags"] == 18


def test_a_model_begins_from_vectors_and_parts_of_characters():
    dataset = split(some(), READING)
    known = dataset.vectors()

    assert known.vectors.shape == (dataset.tokenizer.get_vocab_size(), READING.vectors)
    assert len(known.parts) == dataset.tagging.characters.get_vocab_size()
    assert known.parts[0].sum() == 0  # padding has no parts


def test_a_tag_that_training_does_not_know_counts_for_nothing():
    dataset = split(some(test=[a_sentence("What is this", "NEW")]), READING)
    _, tags, _ = dataset.test.batch(0, Shard())

    assert tags.tolist() == [[PADDING] * 3]


def test_the_label_of_a_sentence_stands_before_the_tags_of_its_words():
    dataset = split(some(make_clauses(60, 1)), READING)
    (tokens, _, lengths), targets, _ = dataset.train.batch(0, Shard())
    numbers = dataset.tokenizer.get_vocab()

    assert dataset.tagging.text_labels == ("animal", "thing")
    assert targets.shape[1] == 1 + tokens.shape[1]
    plain, _, _ = split(some(make_clauses(60, 1)), replace(READING, forget=0.0)).train.batch(
        0, Shard()
    )
    for words, row, length in zip(plain[0].tolist(), targets.tolist(), lengths, strict=True):
        assert row[0] == (numbers["watch"] in words)
        assert dataset.labels[row[length]] == "PUNCT"
        assert row[1 + length :] == [PADDING] * (len(row) - 1 - int(length))


def test_a_label_that_training_does_not_know_counts_for_nothing():
    strange = a_sentence("A duck", "DET")._replace(label="plant")
    _, targets, _ = split(some(make_clauses(60, 1), test=[strange]), READING).test.batch(0, Shard())

    assert targets[0, 0] == PADDING


def test_syllables_are_made_of_their_letters():
    together, initial = writing.made_of(["각", "감"]), writing.made_of(["가"])[0]

    assert (together[0] * together[1]).sum() == 3  # category, initial, vowel
    assert (together[0] * initial).sum() == 3
    assert np.array_equal(writing.made_of(["<pad>"])[0], np.zeros(writing.PARTS))
