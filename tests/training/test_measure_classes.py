"""Figures of classifiers whose labels are unequal."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepwire_training.data.batches import LabelledTexts
from stepwire_training.measure_classes import confusion, macro_f1
from stepwire_training.models.naive_bayes import NaiveBayes


def by_hand(wanted, found, labels):
    scores = []
    for label in range(labels):
        right = sum(w == f == label for w, f in zip(wanted, found, strict=True))
        told, there = found.count(label), wanted.count(label)
        if told + there:
            scores.append(2 * right / (told + there))
    return sum(scores) / len(scores)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_macro_f1_is_the_mean_over_the_labels_that_are_there(pairs):
    wanted, found = map(list, zip(*pairs, strict=True))
    counted = torch.zeros(4, 4, dtype=torch.int64)
    for pair in pairs:
        counted[pair] += 1

    assert macro_f1(counted) == pytest.approx(by_hand(wanted, found, 4))


def test_texts_are_counted_by_what_they_are_and_what_they_are_found_to_be():
    model = NaiveBayes.Config().build(vocabulary=3, labels=3)
    model.table.data = torch.eye(3)  # each token is its own label
    texts = [np.array([token]) for token in (0, 1, 1, 2)]
    batches = LabelledTexts(texts, np.array([0, 1, 2, 2]), rows=3)

    assert confusion(model, batches, 3).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
