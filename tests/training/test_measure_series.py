"""The figures of a forecaster against the obvious way to get them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stepwire_training.data.observed import Labelled, Observed
from stepwire_training.measure_series import figures, surprise
from stepwire_training.models.forecaster import Forecaster

ROWS = np.random.default_rng(0).normal(size=(80, 2)).cumsum(axis=0).astype(np.float32)
OBSERVED = Observed(
    columns=("load", "oil"),
    horizon=3,
    means=np.zeros(2, np.float32),
    scales=np.array([2.0, 5.0], np.float32),
    season=4,
    rows=ROWS,
    held_out=(60, 80),
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Forecaster.Config(
        cell="lstm", layers=1, hidden=8, lags=4, memory=20.0, unit="constant"
    )
    model = config.build(2, 3).eval()
    model.begin_from(torch.from_numpy(OBSERVED.scales))
    for weight in (model.output.weight, model.window):
        torch.nn.init.normal_(weight, std=0.3)
    return model


@pytest.fixture(scope="module")
def measured(model):
    return {metric.name: metric for metric in figures(model, OBSERVED, "0.1, somebody")}


@torch.inference_mode()
def said_after(model, rows: np.ndarray) -> np.ndarray:
    """What a model that has read some rows from the first on predicts: [H, F]."""
    forecast, _ = model(torch.from_numpy(rows[None]), model.start(1))
    return forecast.values[0, -1].numpy()


def mean_square(guess) -> float:
    """Over all windows in the last 20 rows; guess gives [H, F] after so many rows."""
    ends = range(60, 80 - 3 + 1)
    apart = [(guess(ROWS[:end]) - ROWS[end : end + 3]) / OBSERVED.scales for end in ends]
    return float(np.mean(np.square(apart)))


def test_every_window_in_the_held_out_rows_is_measured(model, measured):
    wanted = mean_square(lambda before: said_after(model, before))

    assert measured["MSE, 3 rows ahead"].value == pytest.approx(wanted, rel=1e-4)


def test_predictions_fed_back_are_read_as_if_they_had_come_true(model, measured):
    def fed(before):
        rows = before
        for _ in range(3):
            rows = np.concatenate([rows, said_after(model, rows)[:1]])
        return rows[-3:]

    got = measured["MSE, 3 rows by feeding predictions back"].value
    assert got == pytest.approx(mean_square(fed), rel=1e-4)


def test_naive_guesses_stand_beside(measured):
    last = measured["MSE, 3 rows, the last value again (naive)"].value
    before = measured["MSE, 3 rows, those of 4 rows before (seasonal naive)"].value

    assert last == pytest.approx(mean_square(lambda rows: rows[-1:]), rel=1e-5)
    assert before == pytest.approx(mean_square(lambda rows: rows[-4:-1]), rel=1e-5)


def test_the_published_figure_stands_beside_the_first(model, measured):
    first, *others = figures(model, OBSERVED, "0.1, somebody")

    assert (first.name, first.published) == ("MSE, 3 rows ahead", "0.1, somebody")
    assert all(metric.published == "" for metric in others)
    assert "MAE, one row ahead" in measured


def test_alarms_are_measured_on_streams_that_chose_nothing(model):
    def stream(name: str, place: int) -> Labelled:
        rows = np.sin(np.arange(120.0, dtype=np.float32))[:, None].repeat(2, axis=1)
        rows[place] += 50.0
        return Labelled(name, rows, ((place - 2, place + 2),))

    learned, unseen = stream("learned", 60), stream("unseen", 90)
    observed = replace(OBSERVED, rows=None, learned=(learned,), unseen=(unseen,))
    found = figures(model, observed, "")
    measured = {(metric.name, metric.split): metric.value for metric in found}

    assert found[0].split == "streams held out, threshold from the others"
    assert measured["NAB score by surprise", "streams held out, threshold from the others"] > 70
    limit = measured["threshold of surprise", "streams that chose the threshold"]
    assert limit == surprise(model, learned.rows).max()
