from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepwire_training.models.recurrent import RecurrentLayer
from stepwire_training.studies.long_lags import (
    BASELINE,
    EARLY,
    QUICK,
    STARTS,
    Settings,
    lags_learned,
    sequences,
)
from stepwire_training.studies.starts import spread_gates


@given(lag=st.integers(1, 60), seed=st.integers(0, 1_000))
def test_a_sum_is_of_two_marked_numbers_the_first_at_least_a_lag_before_the_end(lag, seed):
    inputs, sums = sequences(5, lag, torch.Generator().manual_seed(seed))
    assert inputs.shape == (5, lag + EARLY, 2)
    for row, wanted in zip(inputs, sums, strict=True):
        first, second = row[:, 1].nonzero().flatten().tolist()
        assert first < EARLY <= second
        assert inputs.shape[1] - 1 - first >= lag
        assert row[first, 0] + row[second, 0] == wanted
        assert 0 <= row[:, 0].min() <= row[:, 0].max() < 1


def test_who_always_says_one_is_wrong_by_a_sixth():
    _, sums = sequences(100_000, 3, torch.Generator().manual_seed(1))
    assert (sums - 1).square().mean().item() == pytest.approx(BASELINE, rel=0.02)


def test_the_first_lag_that_is_not_learned_is_the_last_that_is_tried():
    never = replace(QUICK, learned_below=0.0)
    [stage] = lags_learned(STARTS["gru"], True, 1, never)
    assert (stage.lag, stage.steps, stage.learned) == (QUICK.lags[0], QUICK.steps, False)


def test_a_lag_begins_with_the_weights_of_the_one_before_only_when_growing():
    always = replace(QUICK, lags=(2, 2), learned_below=1e9)
    grown = list(lags_learned(STARTS["lstm"], True, 1, always))
    fresh = list(lags_learned(STARTS["lstm"], False, 1, always))
    assert [stage.steps for stage in grown] == [QUICK.look_every] * 2
    assert fresh[0] == fresh[1] == grown[0]
    assert grown[1].error < grown[0].error


def test_an_lstm_learns_a_short_lag():
    settings = Settings(lags=(3,), hidden=16, steps=1_000, measured=200)
    [stage] = lags_learned(STARTS["lstm"], True, 1, settings)
    assert stage.learned
    assert stage.error < BASELINE / 8


def test_spread_gates_keep_memories_of_all_lengths():
    layer = RecurrentLayer("lstm", 2, 400)
    spread_gates(layer, 1_000)
    takes, forgets, *_ = layer.bias_ih.detach().view(4, -1)
    steps = 1 / (1 - forgets.sigmoid())  # that a cell remembers which hears nothing
    assert 2 <= steps.min() < 50
    assert 950 < steps.max() <= 1_000
    torch.testing.assert_close(takes.sigmoid(), 1 / steps, rtol=1e-3, atol=1e-6)
