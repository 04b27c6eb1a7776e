import numpy as np
import pytest
import torch

from stepwire_training.data.along import QUARTERS, Along, AskedAlong
from stepwire_training.data.batches import PADDING, LabelledTexts, Shard
from stepwire_training.data.tiny import Verdicts

ALONE = Shard()


def texts(*lengths: int) -> LabelledTexts:
    """Texts of given lengths, one batch, labelled 0, 1, 0, 1, ..."""
    labels = np.arange(len(lengths)) % 2
    return LabelledTexts([np.arange(1, n + 1) for n in lengths], labels, rows=len(lengths))


def asked(after: tuple[float, ...], *lengths: int) -> list[list[int]]:
    """After how many tokens each text is asked for its label."""
    _, targets, _ = AskedAlong(texts(*lengths), after).batch(0, ALONE)
    return [(1 + row.nonzero().flatten()).tolist() for row in targets != PADDING]


def test_every_token_is_asked_and_no_padding():
    assert asked((), 1, 3) == [[1], [1, 2, 3]]


def test_shares_of_a_text_are_rounded_up():
    assert asked((0.25,), 1, 4, 5, 9) == [[1], [1], [2], [3]]
    assert asked((0.75,), 1, 4, 5, 9) == [[1], [3], [4], [7]]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 100, 511])
def test_the_whole_of_a_text_ends_at_its_last_token(length):
    assert asked((1.0,), length) == [[length]]


def test_quarters_that_meet_are_asked_once():
    assert asked(QUARTERS, 1, 2, 8) == [[1], [1, 2], [2, 4, 6, 8]]


def test_targets_are_the_labels_of_their_texts():
    (tokens,), targets, fresh = AskedAlong(texts(2, 3)).batch(0, ALONE)

    assert tokens.tolist() == [[1, 2, 0], [1, 2, 3]]
    assert targets.tolist() == [[0, 0, PADDING], [1, 1, 1]]
    assert fresh


def test_processes_share_the_texts_of_a_batch():
    batches = AskedAlong(texts(2, 3, 4, 5))
    halves = [batches.batch(0, Shard(rank=rank, world=2)).targets for rank in (0, 1)]
    whole = batches.batch(0, ALONE).targets

    assert torch.equal(halves[0], whole[0::2, :4])
    assert torch.equal(halves[1], whole[1::2])


def test_a_data_set_teaches_at_every_token_and_is_measured_where_that_is_said():
    plain = Verdicts(rows=16, seed=1).load()
    along = Along(texts=Verdicts(rows=16, seed=1)).load()
    (tokens, lengths), labels, _ = plain.test.batch(0, ALONE)
    (same,), targets, _ = along.test.batch(0, ALONE)

    assert torch.equal(tokens, same)
    assert torch.equal(targets[torch.arange(len(labels)), lengths - 1], labels)
    assert (targets != PADDING).sum() == len(labels)
    _, lengths = plain.train.batch(3, ALONE).inputs
    assert (along.train.batch(3, ALONE).targets != PADDING).sum() == lengths.sum()
    assert (along.tokenizer.to_str(), along.labels) == (plain.tokenizer.to_str(), plain.labels)
