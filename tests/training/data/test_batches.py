import numpy as np
import pytest
import torch

from stepwire_training.data.batches import LabelledTexts, Shard, TextStream

ALONE = Shard()


def test_a_stream_carries_on_where_its_last_chunk_ended():
    stream = TextStream(np.arange(21), rows=2, length=4)
    chunks = [stream.batch(step, ALONE) for step in range(len(stream))]

    tokens = torch.cat([chunk.inputs[0] for chunk in chunks], dim=1)
    targets = torch.cat([chunk.targets for chunk in chunks], dim=1)
    assert tokens.tolist() == [list(range(10)), list(range(10, 20))]
    assert torch.equal(targets, tokens + 1)
    assert [chunk.fresh for chunk in chunks] == [True, False, False]


def test_each_pass_begins_elsewhere_but_a_step_is_always_the_same():
    stream = TextStream(np.arange(200), rows=2, length=9, seed=1)
    first, again, later = (stream.batch(step, ALONE).inputs[0] for step in (0, 0, len(stream)))

    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_processes_share_the_rows_of_a_stream():
    stream = TextStream(np.arange(200), rows=4, length=9, seed=1)
    whole = stream.batch(3, ALONE).inputs[0]
    halves = [stream.batch(3, Shard(rank=rank, world=2)).inputs[0] for rank in (0, 1)]

    assert torch.equal(whole[0::2], halves[0])
    assert torch.equal(whole[1::2], halves[1])


def test_a_text_too_short_for_its_rows_is_refused():
    with pytest.raises(ValueError, match="3 tokens are too few for 4 rows"):
        TextStream(np.arange(3), rows=4, length=2)


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    return [np.full(rng.integers(1, 30), index) for index in range(100)]


def test_a_pass_reads_every_text_once(texts):
    batches = LabelledTexts(texts, np.arange(100), rows=8, seed=1)
    seen = [label for step in range(len(batches)) for label in batches.batch(step, ALONE).targets]

    assert sorted(map(int, seen)) == list(range(100))


def test_texts_of_a_batch_are_of_about_one_length(texts):
    batches = LabelledTexts(texts, np.arange(100), rows=8, seed=1)
    spreads = [np.ptp(batches.batch(step, ALONE).inputs[1].numpy()) for step in range(13)]

    assert np.mean(spreads) < 4


def test_rows_are_padded_behind_their_text(texts):
    tokens, lengths = LabelledTexts(texts, np.arange(100), rows=100).batch(0, ALONE).inputs
    inside = torch.arange(tokens.shape[1]) < lengths.unsqueeze(1)

    assert (tokens[~inside] == 0).all()
    assert inside.sum() == sum(map(len, texts))


def test_processes_share_the_texts_of_a_batch(texts):
    batches = LabelledTexts(texts, np.arange(100), rows=8, seed=1)
    halves = [batches.batch(5, Shard(rank=rank, world=2)).targets for rank in (0, 1)]

    assert sorted(torch.cat(halves)) == sorted(batches.batch(5, ALONE).targets)
