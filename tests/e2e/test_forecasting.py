"""Forecasts from a real server: the wire, the neighbours, and sessions beside them."""

import asyncio

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import stepwire
from e2e.conftest import server_config
from stepwire.v1 import forecasting_pb2 as pb
from stepwire.v1 import forecasting_pb2_grpc, models_pb2
from stepwire_server.app import App
from stepwire_server.config import BatchingConfig
from support.calls import error_info
from support.tiny import write_generation
from support.tiny_series import COLUMNS, HORIZON, TinySeries, some_rows, write_forecaster

SERVICE = "stepwire.v1.ForecastingService"


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_generation(folder)
    write_forecaster(folder)
    write_forecaster(folder, "winds", targets=("wind",))
    return folder


@pytest.fixture
def forecasting(channel):
    return forecasting_pb2_grpc.ForecastingServiceStub(channel)


def a_request(*histories, model="tides", **asked):
    series = [pb.Series(values=np.ravel(rows)) for rows in histories]
    return pb.ForecastRequest(model=model, histories=series, **asked)


def rows_of(numbers):
    return np.array(numbers, np.float32).reshape(-1, len(COLUMNS))


async def test_forecasts_come_in_the_order_of_their_histories(forecasting):
    histories = [some_rows(count, count) for count in (5, 1, 300)]
    response = await forecasting.Forecast(a_request(*histories))
    assert list(response.targets) == list(COLUMNS)
    assert (response.direct_rows, response.fed_back_rows) == (HORIZON, 0)
    for rows, forecast in zip(histories, response.forecasts, strict=True):
        values, spread = TinySeries().forecast(rows, HORIZON)
        np.testing.assert_array_equal(rows_of(forecast.values), values)
        np.testing.assert_array_equal(rows_of(forecast.spread), spread)
        assert not forecast.quantiles
        assert not forecast.surprises


async def test_beyond_the_models_horizon_it_says_how_many_rows_were_fed_back(forecasting):
    rows = some_rows(20)
    response = await forecasting.Forecast(a_request(rows, horizon=10, surprises=True))
    [forecast] = response.forecasts
    assert (response.direct_rows, response.fed_back_rows) == (3, 7)
    np.testing.assert_array_equal(rows_of(forecast.values), TinySeries().forecast(rows, 10)[0])
    np.testing.assert_array_equal(forecast.surprises, TinySeries().read(rows)[2])


async def test_quantiles_come_in_the_order_in_which_they_were_asked_for(forecasting):
    request = a_request(some_rows(3), quantiles=[0.9, 0.1])
    [forecast] = (await forecasting.Forecast(request)).forecasts
    assert [quantile.level for quantile in forecast.quantiles] == [0.9, 0.1]
    above, below = (np.array(quantile.values) for quantile in forecast.quantiles)
    assert (below < np.array(forecast.values)).all()
    assert (np.array(forecast.values) < above).all()


async def test_a_forecast_is_the_same_alone_and_among_others(forecasting):
    requests = [a_request(some_rows(1 + n, n), horizon=8, surprises=True) for n in range(30)]
    together = a_request(
        *(rows_of(request.histories[0].values) for request in requests), horizon=8, surprises=True
    )
    whole, *each = await asyncio.gather(
        forecasting.Forecast(together), *(forecasting.Forecast(request) for request in requests)
    )
    for request, response in zip(requests, each, strict=True):
        assert response == await forecasting.Forecast(request)
    assert list(whole.forecasts) == [response.forecasts[0] for response in each]


async def test_a_forecast_is_what_a_session_says_after_the_same_rows(app, forecasting):
    rows = some_rows(40)
    response = await forecasting.Forecast(a_request(rows, horizon=9, surprises=True))
    [forecast] = response.forecasts
    async with (
        stepwire.AsyncClient(f"127.0.0.1:{app.grpc_port}") as client,
        client.session("tides") as session,
    ):
        wanted = stepwire.Outputs(values=True, every_step=True)
        told = await session.step(rows.tolist(), outputs=wanted)
        assert list(forecast.surprises) == [each.surprise for each in told.outputs]
        values, spread = list(told.last.values), list(told.last.spread)
        for _ in range(2):  # by hand: what it predicted is what it reads next
            fed = rows_of(values[-HORIZON * len(COLUMNS) :]).tolist()
            told = await session.step(fed)
            values += told.last.values
            spread += told.last.spread
    assert list(forecast.values) == values
    assert list(forecast.spread) == spread


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (a_request(), r"number of histories must be in \[1, 1024\], got 0"),
        (
            a_request(*[some_rows(1)] * 1025),
            r"number of histories must be in \[1, 1024\], got 1025",
        ),
        (a_request([[1, 2]], []), r"histories\[1\].values must hold between 1 and 100000 rows"),
        (a_request([1, 2, 3]), r"histories\[0\].values must have a multiple of 2 numbers"),
        (a_request([1, float("nan")]), r"histories\[0\].values\[1\] must be finite, got nan"),
        (a_request([1, 2], horizon=10_001), r"horizon must be in \[0, 10000\], got 10001"),
        (a_request([1, 2], model="winds", horizon=4), r"horizon must be in \[0, 3\], as the model"),
        (a_request([1, 2], quantiles=[1.5]), r"quantiles\[0\] must be in \(0, 1\), got 1.5"),
        (
            a_request([1, 2], model="tiny"),
            "model must be one for forecasting, got tiny, for generation",
        ),
    ],
)
async def test_a_request_that_cannot_be_met_is_refused_by_field(forecasting, request_, message):
    with pytest.raises(grpc.aio.AioRpcError, match=message) as raised:
        await forecasting.Forecast(request_)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(raised.value).reason == "INVALID_REQUEST"


async def test_the_largest_answer_fits_into_what_a_client_takes_by_default(forecasting):
    levels = [level / 100 for level in range(1, 19)]
    request = a_request(*[some_rows(1)] * 50, horizon=500, quantiles=levels)
    response = await forecasting.Forecast(request)
    assert sum(len(f.values) * (2 + len(f.quantiles)) for f in response.forecasts) == 1_000_000
    assert response.ByteSize() < 4 << 20


async def test_a_call_that_is_left_leaves_nothing_behind(forecasting, app):
    call = forecasting.Forecast(a_request(*[some_rows(90_000)] * 16))
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    # The rows are free again: more than could run beside what was left behind.
    await asyncio.wait_for(forecasting.Forecast(a_request(*[some_rows(2)] * 8)), 5)


async def test_a_deadline_ends_the_call(forecasting):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await forecasting.Forecast(a_request(*[some_rows(90_000)] * 16), timeout=0.3)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_it_answers_health_checks_and_reflection(channel):
    health = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    async for listed in reflection.ServerReflectionInfo(iter([ask])):
        assert SERVICE in {each.name for each in listed.list_services_response.service}


async def test_a_forecaster_describes_its_columns_and_no_other_model_has_any(models):
    tides = (await models.GetModel(models_pb2.GetModelRequest(model="winds"))).model
    assert list(tides.series.columns) == list(COLUMNS)
    assert list(tides.series.targets) == ["wind"]
    assert tides.series.horizon == HORIZON
    tiny = (await models.GetModel(models_pb2.GetModelRequest(model="tiny"))).model
    assert not tiny.HasField("series")


@pytest.mark.parametrize(("count", "ends_well"), [(300, True), (90_000, False)])
async def test_a_server_that_drains_waits_for_forecasts_but_not_for_ever(config, count, ends_well):
    async with App(config).running() as app:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.grpc_port}")
        stub = forecasting_pb2_grpc.ForecastingServiceStub(channel)
        await stub.Forecast(a_request(some_rows(1)))  # connected
        call = stub.Forecast(a_request(*[some_rows(count)] * 16))
        await asyncio.sleep(0.05)
    if ends_well:
        assert len((await call).forecasts) == 16
    else:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert error_info(raised.value).reason == "SHUTTING_DOWN"
    await channel.close()


class TestFull:
    """A server with room for little."""

    @pytest.fixture
    def config(self, repository):
        return server_config(repository, batching=BatchingConfig(max_rows=1, max_waiting=4))

    async def test_a_full_queue_says_when_to_come_again(self, forecasting):
        busy = forecasting.Forecast(a_request(*[some_rows(50_000)] * 4))
        await asyncio.sleep(0.2)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await forecasting.Forecast(a_request(*[some_rows(2)] * 4))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_info(raised.value).reason == "OVERLOADED"
        busy.cancel()
