"""Surnames: each name is in one split alone."""

import numpy as np

from stepwire_training.data.batches import Shard
from stepwire_training.data.names import Names, languages, split

LINES = {
    "Korean": ["Han", "Han", "Kim", *(f"Ko{letter}" for letter in "abcdefgh")],
    "Chinese": ["HAN", "Wu", *(f"Chi{letter}" for letter in "abcdefgh")],
    "Polish": ["Zu\u0307"],
}


def texts(dataset, batches):
    letters = {number: letter for letter, number in dataset.tokenizer.get_vocab().items()}
    found = []
    for step in range(len(batches)):
        (tokens, lengths), labels, _ = batches.batch(step, Shard())
        for row, length, label in zip(tokens, lengths, labels, strict=True):
            name = "".join(letters[int(token)] for token in row[:length])
            found.append((name, dataset.labels[label]))
    return found


def test_a_name_is_in_one_split_alone_with_all_its_languages():
    for seed in range(1, 6):
        dataset = split(LINES, Names(rows=4, seed=seed))
        parts = [texts(dataset, part) for part in (dataset.train, dataset.dev, dataset.test)]
        sizes = [len({name for name, _ in part}) for part in parts]
        homes = [sum(name == "han" for name, _ in part) for part in parts]

        assert sum(sizes) <= 20  # 20 names; letters that training lacks make some alike
        assert sum(map(len, parts)) == 21
        assert sorted(homes) in ([0, 0, 2], [0, 0, 0])  # or spelled with unknowns
        assert dataset.facts["lines"] == 22
        assert dataset.facts["lines dropped as repeated in their file"] == 1
        assert dataset.facts["names at home in several languages"] == 1


def test_names_are_told_apart_by_neither_case_nor_composition():
    found = languages(LINES)

    assert found["han"] == ["Korean", "Chinese"]
    assert "\u017c" in languages({"Polish": ["Z\u0307"]})
    (han, other) = (
        split(LINES, Names(rows=4, seed=1)).tokenizer.encode(name).ids for name in ("HaN", "han")
    )
    assert han == other


def test_the_split_is_the_seeds_alone():
    first, again = (split(LINES, Names(rows=4, seed=1)) for _ in range(2))
    assert texts(first, first.test) == texts(again, again.test)

    other = split(LINES, Names(rows=4, seed=2))
    assert texts(first, first.test) != texts(other, other.test)
    assert np.isclose(len(texts(first, first.test)), 3, atol=1)  # 15 % of 20 names
