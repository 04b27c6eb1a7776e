"""What a forecaster promises, whatever it has learned."""

import math

import numpy as np
import pytest
import torch

from stepwire_training.models.forecaster import Forecast, Forecaster

UNITS = ("constant", "running")


def model_of(unit="constant", columns=2, horizon=3, lags=4, fresh=False) -> Forecaster:
    config = Forecaster.Config(
        cell="lstm", layers=2, hidden=8, lags=lags, memory=20.0, unit=unit, output_dropout=0.5
    )
    model = config.build(columns, horizon).eval()
    if not fresh:
        for weight in (model.output.weight, model.output.bias, model.window):
            torch.nn.init.normal_(weight, std=0.3)
    return model


def rows_of(model: Forecaster, rows=3, positions=30) -> torch.Tensor:
    return torch.randn(rows, positions, model.columns).cumsum(dim=1)


@torch.inference_mode()
def read(model: Forecaster, x: torch.Tensor) -> Forecast:
    return model(x, model.start(len(x)))[0]


@pytest.mark.parametrize("unit", UNITS)
def test_chunks_give_what_the_whole_does(unit):
    model = model_of(unit)
    x = rows_of(model)
    whole, state = read(model, x), model.start(3)
    pieces = []
    with torch.inference_mode():
        for chunk in (x[:, :1], x[:, 1:3], x[:, 3:17], x[:, 17:]):
            forecast, state = model(chunk, state)
            pieces.append(forecast)

    for name in ("values", "spread", "score"):
        got = torch.cat([getattr(piece, name) for piece in pieces], dim=1)
        torch.testing.assert_close(got, getattr(whole, name), atol=1e-4, rtol=1e-4)


def test_one_that_knows_nothing_says_that_all_stays_as_it_is():
    model = model_of(fresh=True)
    x = rows_of(model)
    forecast = read(model, x)

    torch.testing.assert_close(forecast.values, x.unsqueeze(2).expand(-1, -1, 3, -1))
    assert torch.all(forecast.spread == 1.0)


def test_a_series_that_lies_elsewhere_is_predicted_alike():
    model = model_of()
    x = rows_of(model)

    torch.testing.assert_close(
        read(model, x + 100.0).values, read(model, x).values + 100.0, atol=1e-3, rtol=1e-4
    )


def test_in_running_units_neither_place_nor_scale_matters_to_the_score():
    model = model_of("running", columns=1)
    x = rows_of(model) + 20.0
    here, there = read(model, x), read(model, 1000.0 * x)

    torch.testing.assert_close(there.score, here.score, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(there.values, 1000.0 * here.values, atol=1e-1, rtol=1e-4)


def test_the_score_is_the_density_of_what_was_predicted_a_row_before():
    model = model_of()
    model.begin_from(torch.tensor([2.0, 5.0]))
    x = rows_of(model)
    forecast = read(model, x)
    expected = torch.distributions.Normal(
        forecast.values[:, :-1, 0] / model.scales, forecast.spread[:, :-1, 0] / model.scales
    )
    nats = -expected.log_prob(x[:, 1:] / model.scales).sum(dim=2)

    torch.testing.assert_close(forecast.score[:, 1:, 0], nats, atol=1e-3, rtol=1e-4)
    assert torch.all(forecast.score[:, 0] == 0.0)


@pytest.mark.parametrize("unit", UNITS)
def test_whatever_it_reads_its_answers_are_finite(unit):
    model = model_of(unit, columns=1)
    x = torch.tensor([0.0, 0.0, 0.0, 1e9, -1e9, 1e-9, 0.0, 5.0]).view(1, -1, 1)

    for part in read(model, x):
        assert torch.isfinite(part).all()


def test_a_jump_is_more_surprising_than_its_neighbours():
    model = model_of("running", columns=1, fresh=True)
    x = torch.sin(torch.arange(60.0)).view(1, -1, 1)
    x[0, 40] += 9.0

    assert read(model, x).score[0, :, 0].argmax() == 40


def test_of_the_first_rows_of_a_stream_nothing_can_be_expected():
    for unit, quiet in (("constant", 1), ("running", 8)):
        score = read(model_of(unit), rows_of(model_of(unit))).score

        assert torch.all(score[:, :quiet] == 0.0)
        assert torch.all(score[:, quiet:] != 0.0)


def test_targets_that_do_not_count_change_nothing():
    model = model_of()
    x = rows_of(model)
    targets = torch.randn(3, 30, 3, 2)
    targets[:, :10] = torch.nan
    forecast = read(model, x)
    counted = Forecast(*(part[:, 10:] for part in forecast))

    torch.testing.assert_close(model.loss(forecast, targets), model.loss(counted, targets[:, 10:]))
    nats, squares, count = model.tally(forecast, targets).tolist()
    assert count == 3 * 20 * 3 * 2
    assert nats / count == pytest.approx(float(model.loss(forecast, targets)), rel=1e-5)
    wanted = (targets[:, 10:] - forecast.values[:, 10:]).square().mean()
    assert squares / count == pytest.approx(float(wanted), rel=1e-5)


def test_the_loss_of_a_perfect_guess_is_that_of_its_spread():
    model = model_of(fresh=True, horizon=1)
    x = torch.ones(1, 5, 2)

    loss = model.loss(read(model, x), torch.ones(1, 5, 1, 2))
    assert float(loss) == pytest.approx(0.5 * math.log(2 * math.pi))


def test_deviations_of_the_training_split_are_kept_with_the_weights():
    model = model_of()
    model.begin_from(torch.tensor([2.0, 5.0]))

    assert np.allclose(model.state_dict()["scales"], [2.0, 5.0])
