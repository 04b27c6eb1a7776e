"""Chains of tags, against every sequence there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.decoding.chain import Chain, chosen
from stepwire_zoo import manifest

LABELS = 3


def a_chain(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    starts, ends = (scale * rng.normal(size=LABELS) for _ in range(2))
    steps = scale * rng.normal(size=(LABELS, LABELS))
    return manifest.Chain(
        starts=tuple(starts.tolist()),
        steps=tuple(tuple(row) for row in steps.tolist()),
        ends=tuple(ends.tolist()),
    )


def by_hand(spec, logits):
    """What every sequence is worth."""
    worth = {}
    for tags in itertools.product(range(LABELS), repeat=len(logits)):
        steps = sum(spec.steps[a][b] for a, b in itertools.pairwise(tags))
        words = sum(logits[place, tag] for place, tag in enumerate(tags))
        worth[tags] = spec.starts[tags[0]] + words + steps + spec.ends[tags[-1]]
    return worth


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.1, 1.0, 5.0]))
def test_the_likeliest_sequence_is_the_best_of_all(seed, words, scale):
    spec = a_chain(seed, scale)
    logits = np.random.default_rng(seed + 1).normal(size=(words, LABELS)).astype(np.float32)
    worth = by_hand(spec, logits.astype(float))

    tags, shares = Chain(spec).chosen(logits)
    assert worth[tuple(tags.tolist())] == pytest.approx(max(worth.values()))

    total = sum(np.exp(value) for value in worth.values())
    for place, tag in itertools.product(range(words), range(LABELS)):
        own = sum(np.exp(value) for tags, value in worth.items() if tags[place] == tag)
        assert shares[place, tag] == pytest.approx(own / total)


def test_large_numbers_do_not_overflow():
    logits = np.full((50, LABELS), 1e4, np.float32)
    _, shares = Chain(a_chain(1)).chosen(logits)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_without_a_chain_each_word_is_by_itself():
    logits = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]], np.float32)
    tags, shares = chosen(logits)
    assert tags.tolist() == [1, 0]
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1)[:, None]
    np.testing.assert_allclose(shares, wanted, rtol=1e-6)


def test_a_chain_of_uneven_sizes_is_refused():
    with pytest.raises(ValueError, match=r"of one size, got \[2, 3\]"):
        manifest.Chain(starts=(0.0,) * 3, steps=((0.0,) * 3,) * 3, ends=(0.0,) * 2)
