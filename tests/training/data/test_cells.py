from collections import Counter

import numpy as np
import pytest

from stepwire_training.data.batches import Shard
from stepwire_training.data.cells import Cells, Near, near
from stepwire_training.data.corpus import Corpus


def counted(corpus, window):
    """The slow and obvious way."""
    found = Counter()
    for place, word in enumerate(corpus.ids):
        for other in range(len(corpus.ids)):
            distance = abs(place - other)
            if 0 < distance <= window and corpus.owners[place] == corpus.owners[other]:
                found[int(word), int(corpus.ids[other])] += 1 / distance
    return found


def test_pairs_are_counted_both_ways_by_the_inverse_of_their_distance():
    rng = np.random.default_rng(0)
    corpus = Corpus(rng.integers(1, 9, 120), np.sort(rng.integers(0, 7, 120)))
    pairs, counts = near(corpus, 9, window=4)
    found = dict(zip(map(tuple, pairs.T.tolist()), counts.tolist(), strict=True))
    assert found == pytest.approx(counted(corpus, 4))


def test_a_pass_reads_every_pair_once_in_another_order():
    pairs = np.stack([np.arange(10), np.arange(10)]).astype(np.int32)
    cells = Cells(pairs, np.arange(10, dtype=np.float32), rows=4, seed=1)
    passes = []
    for number in range(2):
        batches = [cells.batch(3 * number + step, Shard()) for step in range(len(cells))]
        for batch in batches:
            left, right = batch.inputs
            assert (left == right).all()
            assert (left == batch.targets).all()
        passes.append([int(it) for batch in batches for it in batch.inputs[0]])
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(10))
    assert passes[0] != passes[1]


def test_pairs_that_choose_are_not_learned_from():
    rng = np.random.default_rng(0)
    corpus = Corpus(rng.integers(1, 40, 2_000), np.zeros(2_000, np.int64))
    train, dev = Near(window=3, rows=64).splits(corpus, corpus, np.ones(40))
    pairs, _ = near(corpus, 40, 3)
    seen = [
        {
            (int(a), int(b))
            for step in range(len(cells))
            for a, b in zip(*cells.batch(step, Shard()).inputs, strict=True)
        }
        for cells in (train, dev)
    ]
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == set(map(tuple, pairs.T.tolist()))
    assert len(seen[1]) == pytest.approx(0.02 * pairs.shape[1], abs=1)
