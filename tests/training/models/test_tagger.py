"""The tagger: padding and neighbours show nowhere, characters are read as windows."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from stepwire_training.data.pairs import FACTOR
from stepwire_training.models.tagger import Spelling, Tagger

CONFIG = Tagger.Config(
    layers=2,
    hidden=7,
    learned=5,
    embedding=4,
    vectors=3,
    character=6,
    widths=(2, 3),
    filters=4,
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    made = CONFIG.build(vocabulary=11, labels=3, sources=9).eval()
    made.begin_from((torch.randn(11, 3), torch.rand(9, made.spelling.made_of.shape[1]).round()))
    return made


def some(rows, positions):
    rng = torch.Generator().manual_seed(rows)
    tokens = torch.randint(0, 11, (rows, positions), generator=rng)
    return tokens, torch.randint(0, 9, (rows, positions, 5), generator=rng)


def test_what_stands_behind_a_sentence_changes_nothing(model):
    tokens, characters = some(3, 8)
    lengths = torch.tensor([3, 8, 1])
    together, _ = model(tokens, characters, lengths, ())
    for row, length in enumerate(lengths.tolist()):
        own = (tokens[row : row + 1, :length], characters[row : row + 1, :length])
        alone, _ = model(*own, lengths[row : row + 1], ())
        torch.testing.assert_close(together[row : row + 1, :length], alone)


def test_words_that_are_not_common_share_the_learned_embedding_of_the_unknown(model):
    assert model.own(torch.tensor([0, 3, 4, 5, 10])).tolist() == [0, 3, 4, 0, 0]


def test_a_word_is_read_in_pairs_with_the_one_before_and_the_one_behind(model):
    paired = replace(CONFIG, pairs=50, input_dropout=0.0).build(11, labels=3, sources=9).eval()
    paired.pairs.data.copy_(torch.arange(150.0).view(50, 3))
    tokens, characters = some(2, 4)
    lengths = torch.tensor([4, 2])
    found = paired.features(tokens, characters, lengths)[:, :, -6:]
    for row, length in enumerate(lengths.tolist()):
        words = [0, *tokens[row, :length].tolist(), 0]
        numbers = [(a * FACTOR + b) % 50 for a, b in pairwise(words)]
        for place, (before, behind) in enumerate(pairwise(numbers)):
            wanted = torch.cat([paired.pairs[before], paired.pairs[behind]])
            torch.testing.assert_close(found[row, place], wanted)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_filters_find_the_most_in_every_window(width):
    spelling = Spelling(characters=9, size=3, widths=(width,), filters=4)
    word = torch.tensor([[2, 5, 7, 1]])
    table = spelling.characters().detach().numpy()
    weight, bias = (p.detach().numpy() for p in spelling.linear_filters()[0].parameters())
    before = (width - 1) // 2
    around = [0] * before + word[0].tolist() + [0] * (width - 1 - before)
    windows = [np.concatenate(table[around[at : at + width]]) for at in range(4)]
    most = np.max([weight @ window + bias for window in windows], axis=0)

    np.testing.assert_allclose(spelling(word).detach()[0], np.maximum(most, 0), atol=1e-6)


def test_fixed_vectors_are_not_trained(model):
    logits, _ = model(*some(2, 4), torch.tensor([4, 4]), ())
    logits.sum().backward()

    assert model.vectors.grad is None
    assert model.spelling.made_of.grad is None
    assert model.words.weight.grad is not None
