"""The zoo's forecasters, served as a user gets them."""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

import stepwire
from e2e.conftest import ZOO, server_config, some_of_zoo
from stepwire_server.config import BatchingConfig
from stepwire_zoo.bundle import open_bundle

ALL, ONE, ANOMALY = "etth1-lstm", "etth1-lstm-ot", "nab-anomaly"
TRAIN, TEST, END = 8640, 11520, 14400  # rows at which the splits of the cards end or begin
DAY = 24


@pytest.fixture
def config(tmp_path):
    repository = some_of_zoo(tmp_path / "zoo", ALL, ONE, ANOMALY)
    return server_config(repository, batching=BatchingConfig(max_rows=64))


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
        yield client


@pytest.fixture(scope="module")
def hours():
    """Every row of ETTh1, the columns by name."""
    root = Path(os.environ.get("STEPWIRE_DATA") or Path(__file__).parents[3] / "shared/data")
    path = root / "ett/ETTh1.csv.gz"
    if not path.exists():
        pytest.skip("ETTh1 is not at hand; set STEPWIRE_DATA")
    with gzip.open(path, "rt") as file:
        records = list(csv.DictReader(file))
    names = [name for name in records[0] if name != "date"]
    return {name: [float(record[name]) for record in records] for name in names}


def of_model(hours, columns, first=0, end=None):
    return [list(row) for row in zip(*(hours[name][first:end] for name in columns), strict=True)]


def made_up(columns, count, seed=0):
    """Rows like a day's, without any data at hand."""
    rng = np.random.default_rng(seed)
    day = np.sin(np.arange(count) * 2 * np.pi / DAY)[:, None]
    return (10 + 3 * day + rng.normal(size=(count, columns))).tolist()


@pytest.mark.parametrize(("name", "columns"), [(ALL, 7), (ONE, 1), (ANOMALY, 1)])
async def test_a_forecast_is_what_a_session_says_and_feeding_back_by_hand_gives(
    client, name, columns
):
    rows = made_up(columns, 300)
    series = (await client.model(name)).series
    horizon = 2 * series.horizon + 1
    [forecast] = await client.forecast(name, [rows], horizon=horizon, surprises=True)
    async with client.session(name) as session:
        wanted = stepwire.Outputs(values=True, every_step=True)
        told = await session.step(rows, outputs=wanted)
        assert forecast.surprises == tuple(each.surprise for each in told.outputs)
        values, spread = told.last.values, told.last.spread
        while len(values) < horizon * columns:
            block = np.reshape(values[-series.horizon * columns :], (-1, columns))
            told = await session.step(block.tolist())
            values, spread = values + told.last.values, spread + told.last.spread
    assert sum(forecast.values, ()) == values[: horizon * columns]
    assert sum(forecast.spread, ()) == spread[: horizon * columns]
    assert (forecast.direct_rows, forecast.fed_back_rows) == (
        series.horizon,
        horizon - series.horizon,
    )


@pytest.mark.parametrize(("name", "columns"), [(ALL, 7), (ONE, 1), (ANOMALY, 1)])
async def test_forecasts_are_the_same_alone_and_among_others(client, name, columns):
    histories = [made_up(columns, 1 + 37 * n % 500, n) for n in range(70)]
    asked = {"horizon": 30, "quantiles": [0.1, 0.9], "surprises": True}
    together = await client.forecast(name, histories, **asked)
    for place in (0, 13, 69):
        assert [together[place]] == await client.forecast(name, [histories[place]], **asked)


@pytest.mark.parametrize(("name", "apart"), [(ALL, 119), (ONE, 59)])
async def test_the_errors_of_the_served_model_are_about_those_of_its_card(
    client, hours, name, apart
):
    # Some of the card's windows, at all times of the day: histories from the first row on.
    columns = (await client.model(name)).series.columns
    known = np.array(of_model(hours, columns))
    deviations = known[:TRAIN].std(axis=0)
    places = range(TEST, END - DAY + 1, apart)
    forecasts = await client.forecast(name, [known[:place].tolist() for place in places])
    wanted = np.array([known[place : place + DAY] for place in places])
    errors = (np.array([each.values for each in forecasts]) - wanted) / deviations
    card = {metric.name: metric.value for metric in open_bundle(ZOO / name / "1").manifest.metrics}
    assert np.square(errors).mean() == pytest.approx(card["MSE, 24 rows ahead"], rel=0.25)
    assert np.abs(errors).mean() == pytest.approx(card["MAE, 24 rows ahead"], rel=0.15)


async def test_two_years_of_hours_are_one_history(client, hours):
    series = (await client.model(ALL)).series
    rows = of_model(hours, series.columns)
    assert len(rows) == 17_420
    [forecast] = await client.forecast(ALL, [rows], horizon=100, quantiles=[0.1, 0.9])
    assert np.shape(forecast.values) == (100, 7)
    below, above = (np.array(forecast.quantiles[level]) for level in (0.1, 0.9))
    assert (below < np.array(forecast.values)).all()
    assert (np.array(forecast.values) < above).all()


async def test_a_spike_is_more_surprising_than_what_was_before_it(client):
    rows = [value for [value] in made_up(1, 400)]
    rows[350] = 60.0
    [forecast] = await client.forecast(ANOMALY, [rows], surprises=True)
    assert len(forecast.surprises) == 400
    assert forecast.surprises[:8] == (0.0,) * 8  # nothing could be expected yet
    assert np.argmax(forecast.surprises[100:]) == 250
