"""From a recipe to forecasts: the tiny forecasters, trained, published and served."""

import numpy as np
import pytest
import torch

import stepwire
from e2e.conftest import server_config
from stepwire_training.data.series import Rows
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipes import RECIPES
from stepwire_training.train import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The zoo of both, and the series that each was measured on."""
    torch.set_num_threads(1)
    zoo, runs, observed = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("runs"), {}
    for name in ("tiny-forecaster", "tiny-anomaly"):
        recipe = RECIPES[name]()
        dataset = recipe.data.load()
        progress = train(recipe, dataset, runs, Interrupt()).progress
        publish(Finished(recipe=recipe, dataset=dataset, progress=progress, machine="a test"), zoo)
        observed[name] = dataset.series
    return zoo, observed


@pytest.fixture
def config(trained):
    return server_config(trained[0])


@pytest.fixture
async def client(app):
    async with stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client:
        yield client


def held_out(observed) -> Rows:
    first, end = observed.held_out
    return observed.rows[:end], first


async def test_a_trained_forecaster_foresees_better_than_the_last_row_does(client, trained):
    rows, first = held_out(trained[1]["tiny-forecaster"])
    places = range(first, len(rows) - 4, 7)
    forecasts = await client.forecast("tiny-forecaster", [rows[:place] for place in places])
    wanted = np.stack([rows[place : place + 4] for place in places])
    errors = np.array([each.values for each in forecasts]) - wanted
    naive = np.stack([rows[place - 1 : place] for place in places]) - wanted
    assert np.square(errors).mean() < 0.5 * np.square(naive).mean()


@pytest.mark.parametrize("name", ["tiny-forecaster", "tiny-anomaly"])
async def test_a_forecast_is_what_a_session_does_by_hand(client, trained, name):
    series = (await client.model(name)).series
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, len(series.columns))).astype(np.float32).tolist()
    [forecast] = await client.forecast(name, [rows], horizon=3 * series.horizon)
    async with client.session(name) as session:
        for start in range(0, len(rows), 60):  # a session takes a message of 64 at most
            told = (await session.step(rows[start : start + 60])).last
        values, spread = told.values, told.spread
        for _ in range(2):
            block = np.reshape(told.values, (-1, len(series.columns)))
            told = (await session.step(block.tolist())).last
            values, spread = values + told.values, spread + told.spread
    assert sum(forecast.values, ()) == values
    assert sum(forecast.spread, ()) == spread


async def test_forecasts_do_not_depend_on_their_neighbours(client, trained):
    rows, _ = held_out(trained[1]["tiny-forecaster"])
    histories = [rows[: 1 + 13 * n] for n in range(30)]
    asked = {"horizon": 11, "quantiles": [0.2], "surprises": True}
    together = await client.forecast("tiny-forecaster", histories, **asked)
    for place in (0, 7, 29):
        [alone] = await client.forecast("tiny-forecaster", [histories[place]], **asked)
        assert alone == together[place]
