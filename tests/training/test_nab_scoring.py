"""The benchmark's scores against its formula written out by hand, and against the obvious."""

import math

import numpy as np
import pytest

from stepwire_training.nab_scoring import (
    FALSE_ALARM,
    OUTSIDE,
    Labels,
    alarms,
    best_threshold,
    gains_of,
    scaled,
    sliding_z,
)

LABELS = Labels(rows=200, windows=((60, 79), (140, 149)))


def stream(*alarmed: int):
    scores = np.zeros(LABELS.rows)
    scores[list(alarmed)] = 1.0
    return LABELS, scores


def score(*alarmed: int) -> float:
    return scaled(alarms([stream(*alarmed)]), 1.0)


def sigmoid(position: float) -> float:
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def test_silence_is_worth_nothing_and_perfection_a_hundred():
    assert score() == 0.0
    assert score(60, 140) == pytest.approx(100.0)


def test_a_window_found_late_is_worth_less():
    found = sigmoid(-(79 - 70 + 1) / 20) / sigmoid(-1.0)

    assert score(70) == pytest.approx(100 * (found + 1) / 4)
    assert score(60) > score(70) > score(79) > 0


def test_only_the_best_alarm_of_a_window_counts():
    assert score(60, 65, 79) == score(60)


def test_a_false_alarm_costs_most_far_from_any_window():
    before, close, far = score(40), score(81), score(139)

    assert before == pytest.approx(-100 * FALSE_ALARM / 4)
    assert far == before
    assert close == pytest.approx(100 * FALSE_ALARM * sigmoid(2 / 19) / 4)
    assert before < close < 0


def test_alarms_in_the_probation_do_not_count():
    assert LABELS.probation == 30
    assert score(*range(30)) == 0.0
    assert Labels(rows=20_000, windows=()).probation == 750


def test_every_row_knows_its_window():
    _, windows = gains_of(LABELS)

    assert windows[[59, 60, 79, 80, 145]].tolist() == [OUTSIDE, 0, 0, OUTSIDE, 1]


def test_the_best_threshold_is_the_one_that_trying_all_finds():
    rng = np.random.default_rng(0)
    streams = [(LABELS, rng.integers(30, size=200).astype(float)) for _ in range(3)]
    rows = alarms(streams)
    tried = {limit: scaled(rows, limit) for limit in range(31)}

    assert scaled(rows, best_threshold(rows)) == pytest.approx(max(tried.values()))


def test_where_nothing_is_found_silence_is_best():
    rows = alarms([stream(*range(30, 60))])

    assert best_threshold(rows) in (float("inf"), 0.0)
    assert scaled(rows, float("inf")) == 0.0


def test_deviations_are_those_from_the_values_before():
    values = np.random.default_rng(0).normal(size=50) * 3 + 1e4
    got = sliding_z(values, 10)

    for place in (5, 30, 49):
        before = values[max(0, place - 10) : place]
        wanted = abs(values[place] - before.mean()) / before.std()
        assert got[place] == pytest.approx(wanted, rel=1e-6)


def test_what_never_varied_is_never_strange():
    assert sliding_z(np.full(20, 7.0), 5).tolist() == [0.0] * 20
