"""A forecaster in a running engine, without a wire: what it reads, refuses and gives back."""

import asyncio
import threading
import time
from contextlib import contextmanager
from statistics import NormalDist

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig
from stepwire_server.decoding.sampling import Sampler
from stepwire_server.engine.batch import RunningBatch, Stepped
from stepwire_server.engine.engine import Engine
from stepwire_server.engine.outbox import Outbox
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    Overloaded,
    ShuttingDown,
)
from stepwire_server.metrics import Metrics, ModelMetrics
from stepwire_server.registry import reading_series
from stepwire_server.registry.forecasting import Asked, ForecastingModel, quantile
from support.tiny_series import COLUMNS, HORIZON, TinySeries, series_manifest, some_rows


class Cell:
    """TinySeries as the engine calls it; it can be held up and can break."""

    blank = np.zeros(len(COLUMNS), np.float32)

    def __init__(self, targets):
        self.plain = TinySeries(targets)
        self.start = {"m": np.zeros(len(COLUMNS), np.float32)}
        self.batch_sizes = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.breaks_at = None  # a value of the first column

    def step(self, inputs, states, view=None, wanted=frozenset()):
        self.may_go.wait(10)
        self.batch_sizes.append(len(inputs))
        with np.errstate(over="ignore"):
            rows = [self.plain.step(x, m) for x, m in zip(inputs, states["m"], strict=True)]
        values, spread, score, after = (np.stack(part) for part in zip(*rows, strict=True))
        if self.breaks_at is not None:
            values[inputs[:, 0] == self.breaks_at] = np.nan
        extras = {"values": values}
        extras |= {role: told for role, told in (("spread", spread), ("score", score)) if wanted}
        return Stepped(values.reshape(len(values), -1), {"m": after}, extras)


class Served:
    """A model whose engine runs on a thread of its own."""

    def __init__(self, targets=COLUMNS, **config):
        self.cell = Cell(targets)
        self.config = BatchingConfig(**{"max_rows": 8, **config})
        self.registry = CollectorRegistry()
        rows = self.config.max_rows
        sampler = Sampler(rows, 0, end=None, suppressed=())
        batch = RunningBatch(self.cell, sampler, rows)
        self.engine = Engine(
            {0: batch},
            self.config,
            ModelMetrics(Metrics(self.registry), "tides", "1"),
            Outbox(asyncio.get_running_loop().call_soon_threadsafe, 0.0),
            None,
        )
        manifest = series_manifest(targets=targets)
        self.model = ForecastingModel(self.engine, manifest, self.config)

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self.engine.run)
        thread.start()
        try:
            yield self
        finally:
            self.cell.may_go.set()
            self.engine.stop()
            thread.join()

    async def forecast(self, *histories, deadline=None, **asked):
        flat = [np.asarray(rows, np.float32).ravel() for rows in histories]
        return await self.model.forecast(flat, Asked(**asked), deadline)


@pytest.fixture
async def served():
    with Served().running() as served:
        yield served


def assert_same(forecast, wanted):
    values, spread = wanted
    np.testing.assert_array_equal(forecast.values, values)
    np.testing.assert_array_equal(forecast.spread, spread)


async def test_the_last_row_of_a_history_says_how_it_goes_on(served):
    rows = some_rows(7)
    [forecast] = await served.forecast(rows)
    assert_same(forecast, TinySeries().read(rows)[:2])
    assert forecast.surprises is None


async def test_fewer_rows_than_the_models_own_are_its_first(served):
    rows = some_rows(4)
    [forecast] = await served.forecast(rows, horizon=2)
    assert_same(forecast, TinySeries().forecast(rows, 2))


@pytest.mark.parametrize("horizon", [HORIZON + 1, 2 * HORIZON, 100])
async def test_beyond_its_own_horizon_its_predictions_are_fed_back_block_by_block(served, horizon):
    rows = some_rows(5)
    [forecast] = await served.forecast(rows, horizon=horizon)
    assert_same(forecast, TinySeries().forecast(rows, horizon))
    assert served.model.rows_ahead(Asked(horizon=horizon)) == (HORIZON, horizon - HORIZON)


async def test_targets_in_another_order_are_fed_back_in_the_order_of_the_columns():
    targets = ("wind", "tide")
    with Served(targets).running() as served:
        [forecast] = await served.forecast(some_rows(5), horizon=8)
    assert_same(forecast, TinySeries(targets).forecast(some_rows(5), 8))


async def test_a_model_that_predicts_some_of_its_columns_is_not_fed_back():
    with Served(("wind",)).running() as served:
        [forecast] = await served.forecast(some_rows(5), horizon=HORIZON)
        assert_same(forecast, TinySeries(("wind",)).forecast(some_rows(5), HORIZON))
        with pytest.raises(InvalidRequest, match=r"horizon must be in \[0, 3\].* wind alone .*4"):
            await served.forecast(some_rows(5), horizon=4)


async def test_every_row_of_a_history_tells_its_surprise_and_none_that_was_fed_back(served):
    rows = some_rows(9)
    [forecast] = await served.forecast(rows, horizon=10, surprises=True)
    np.testing.assert_array_equal(forecast.surprises, TinySeries().read(rows)[2])
    assert_same(forecast, TinySeries().forecast(rows, 10))


async def test_a_long_history_is_read_in_pieces_and_nothing_shows_it(served, monkeypatch):
    rows = some_rows(50)
    monkeypatch.setattr(reading_series, "ROWS_AT_ONCE", 7)
    [forecast] = await served.forecast(rows, horizon=20, surprises=True)
    assert_same(forecast, TinySeries().forecast(rows, 20))
    np.testing.assert_array_equal(forecast.surprises, TinySeries().read(rows)[2])


async def test_histories_share_batches_and_change_nothing_of_each_other(served):
    histories = [some_rows(1 + 3 * seed % 40, seed) for seed in range(20)]
    together = await served.forecast(*histories, horizon=10, surprises=True)
    assert max(served.cell.batch_sizes) == 8
    for rows, forecast in zip(histories, together, strict=True):
        [alone] = await served.forecast(rows, horizon=10, surprises=True)
        assert_same(forecast, (alone.values, alone.spread))
        np.testing.assert_array_equal(forecast.surprises, alone.surprises)


async def test_a_long_forecast_gives_way_to_others_between_its_pieces(monkeypatch):
    monkeypatch.setattr(reading_series, "ROWS_AT_ONCE", 4)
    with Served(max_rows=2).running() as served:
        long = asyncio.create_task(served.forecast(*[some_rows(4000, n) for n in range(4)]))
        while not served.cell.batch_sizes:
            await asyncio.sleep(0.001)
        await served.forecast(some_rows(2))
        assert not long.done()
        long.cancel()


async def test_quantiles_are_gaussian_around_the_values(served):
    levels = (0.9, 0.1, 0.5)
    [forecast] = await served.forecast(some_rows(6), horizon=5, quantiles=levels)
    assert [level for level, _ in forecast.quantiles] == list(levels)
    for level, values in forecast.quantiles:
        pairs = zip(forecast.values.ravel(), forecast.spread.ravel(), strict=True)
        wanted = [NormalDist(float(mean), float(spread)).inv_cdf(level) for mean, spread in pairs]
        np.testing.assert_allclose(values.ravel(), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(forecast.quantiles[2][1], forecast.values)


def test_the_outermost_levels_have_quantiles():
    one = np.ones((1, 1), np.float32)
    for level in (5e-324, 1 - 2**-53):
        assert np.isfinite(quantile(one, one, level)).all()


@pytest.mark.parametrize(
    ("histories", "asked", "message"),
    [
        ([[]], {}, r"histories\[0\].values must hold between 1 and 30 rows, got 0"),
        ([[1, 2], []], {}, r"histories\[1\].values must hold between 1 and 30 rows, got 0"),
        ([some_rows(31)], {}, r"histories\[0\].values must hold between 1 and 30 rows, got 31"),
        (
            [[1, 2], [1, 2, 3]],
            {},
            r"histories\[1\].values must have a multiple of 2 numbers: a row has tide, wind, got 3",
        ),
        ([[1, 2, 3, float("nan")]], {}, r"histories\[0\].values\[3\] must be finite, got nan"),
        ([[1, 2], [float("-inf"), 1]], {}, r"histories\[1\].values\[0\] must be finite, got -inf"),
        ([[1, 2]], {"horizon": 51}, r"horizon must be in \[0, 50\], got 51"),
        ([[1, 2]], {"quantiles": (0.5, 0.0)}, r"quantiles\[1\] must be in \(0, 1\), got 0"),
        ([[1, 2]], {"quantiles": (1.0,)}, r"quantiles\[0\] must be in \(0, 1\), got 1"),
        ([[1, 2]], {"quantiles": (float("nan"),)}, r"quantiles\[0\] must be in .* got nan"),
        (
            [[1, 2]],
            {"quantiles": (0.1, 0.9, 0.1)},
            r"quantiles\[2\] must differ from those before it, got 0.1",
        ),
        (
            [[1, 2]],
            {"quantiles": tuple(n / 200 for n in range(1, 101))},
            r"number of quantiles must be in \[0, 99\], got 100",
        ),
        (
            [[1, 2]] * 101,
            {"horizon": 50, "quantiles": tuple(n / 200 for n in range(1, 99))},
            r"the answer must hold at most 1000000 numbers: .*, got 1010000",
        ),
    ],
)
async def test_what_cannot_be_met_is_refused_by_field(histories, asked, message):
    with Served(max_history_rows=30, max_horizon=50).running() as served:
        with pytest.raises(InvalidRequest, match=message):
            await served.forecast(*histories, **asked)
        assert served.cell.batch_sizes == []


async def test_a_models_own_horizon_may_be_asked_for_whatever_the_limit():
    with Served(max_horizon=1).running() as served:
        for horizon in (0, HORIZON):
            [forecast] = await served.forecast(some_rows(3), horizon=horizon)
            assert len(forecast.values) == HORIZON
        with pytest.raises(InvalidRequest, match=r"horizon must be in \[0, 3\], got 4"):
            await served.forecast(some_rows(3), horizon=4)


async def test_a_full_queue_refuses_a_call_as_a_whole():
    with Served(max_rows=1, max_waiting=2).running() as served:
        served.cell.may_go.clear()
        first = asyncio.create_task(served.forecast(some_rows(3)))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(served.forecast(some_rows(3)))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            await served.forecast(some_rows(3), some_rows(3))
        served.cell.may_go.set()
        assert len(await first) == len(await waiting) == 1


async def test_what_was_let_in_once_goes_on_past_a_full_queue(monkeypatch):
    monkeypatch.setattr(reading_series, "ROWS_AT_ONCE", 2)
    with Served(max_rows=1, max_waiting=2).running() as served:
        served.cell.may_go.clear()
        calls = []
        for _ in range(3):
            calls.append(asyncio.create_task(served.forecast(some_rows(9))))
            await asyncio.sleep(0.05)
        served.cell.may_go.set()  # one runs and two wait: the queue is full
        for call in calls:
            [forecast] = await call
            assert_same(forecast, TinySeries().forecast(some_rows(9), HORIZON))


async def test_leaving_a_call_frees_its_rows(served):
    task = asyncio.create_task(served.forecast(*[some_rows(90_000, n) for n in range(3)]))
    while not served.cell.batch_sizes:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await served.forecast(some_rows(2))  # behind the order to cancel
    await asyncio.sleep(0.05)
    count = len(served.cell.batch_sizes)
    await asyncio.sleep(0.05)
    assert len(served.cell.batch_sizes) == count


async def test_a_deadline_that_passes_in_the_queue_ends_the_call():
    with Served(max_rows=1).running() as served:
        served.cell.may_go.clear()
        first = asyncio.create_task(served.forecast(some_rows(2)))
        await asyncio.sleep(0.05)
        late = asyncio.create_task(served.forecast(some_rows(2), deadline=time.monotonic() + 0.01))
        await asyncio.sleep(0.05)
        served.cell.may_go.set()
        with pytest.raises(DeadlineExceeded):
            await late
        await first


async def test_stopping_fails_what_is_under_way():
    served = Served()
    with served.running():
        task = asyncio.create_task(served.forecast(some_rows(90_000)))
        while not served.cell.batch_sizes:
            await asyncio.sleep(0.001)
    with pytest.raises(ShuttingDown):
        await task
    with pytest.raises(ShuttingDown):
        await served.forecast(some_rows(2))


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        ([[1, 2], [3e19, 1]], {}),  # the spread
        ([[1, 2], [3e19, 1], [3e19, 1]], {"surprises": True}),  # the score of the second row
        ([[3e38, 1]] * 3, {"quantiles": (0.99,)}),
    ],
)
async def test_no_number_beyond_single_precision_is_told(served, rows, asked):
    with pytest.raises(InternalError, match="not finite"):
        await served.forecast(rows, **asked)


async def test_numbers_that_are_not_finite_fail_their_call_and_no_other(served):
    served.cell.breaks_at = np.float32(77.0)
    good, bad = some_rows(600), some_rows(600)
    bad[-1, 0] = 77.0
    task = asyncio.create_task(served.forecast(bad))
    [forecast] = await served.forecast(good)
    assert_same(forecast, TinySeries().forecast(good, HORIZON))
    with pytest.raises(InternalError, match="not finite"):
        await task
