"""Forecasts through both clients, against a server small enough to know by heart."""

import grpc
import pytest

import stepwire
from client.fakes import UNAVAILABLE, Refusal


def test_forecasts_stand_in_the_order_of_their_histories(client):
    first, second = client.forecast("sea", [[(1, 10), (2, 20)], [(5, 50)]])
    assert first.targets == ("tide", "wind")
    assert first.values == ((3, 21), (4, 22), (5, 23))
    assert first.spread == ((2, 2),) * 3
    assert second.column("wind") == (51, 52, 53)
    assert (first.quantiles, first.surprises) == ({}, ())


def test_a_series_of_one_column_may_be_its_numbers_alone(client):
    [of_numbers] = client.forecast("level", [[1.5, 2.5]])
    [of_rows] = client.forecast("level", [[[1.5], [2.5]]])
    assert of_numbers == of_rows
    assert of_numbers.column("OT") == (3.5, 4.5, 5.5)


def test_what_is_asked_for_comes_beside_the_values(client):
    [forecast] = client.forecast(
        "level", [[1, 2]], horizon=5, quantiles=(0.75, 0.25), surprises=True
    )
    assert (forecast.direct_rows, forecast.fed_back_rows) == (3, 2)
    assert list(forecast.quantiles) == [0.75, 0.25]
    assert forecast.quantiles[0.25] == tuple((value + 0.25,) for value in range(3, 8))
    assert forecast.surprises == (1, 2)


def test_a_horizon_that_is_not_given_is_the_models_own(client, service):
    client.forecast("level", [[1]], version="3", timeout_s=5)
    [request] = service.requests
    assert (request.horizon, request.version) == (0, "3")
    assert service.remaining_s[0] < 6


async def test_the_asynchronous_client_gives_the_same(client, aclient):
    asked = {"horizon": 4, "quantiles": [0.5], "surprises": True}
    assert await aclient.forecast("level", [[1, 2]], **asked) == client.forecast(
        "level", [[1, 2]], **asked
    )


async def test_a_passing_refusal_is_tried_again(client, aclient, service):
    service.refusals = [UNAVAILABLE, UNAVAILABLE]
    assert len(client.forecast("level", [[1]])) == 1
    service.refusals = [UNAVAILABLE]
    assert len(await aclient.forecast("level", [[1]])) == 1
    assert len(service.requests) == 5


def test_a_refused_request_is_not_tried_again(client, service):
    service.refusals = [
        Refusal(code=grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST", message="no")
    ]
    with pytest.raises(stepwire.InvalidRequest):
        client.forecast("level", [[1]])
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("histories", "asked", "message"),
    [
        ([[1, "x"]], {}, r"histories\[0\].values\[1\] must be a number, got 'x'"),
        ([[1], [[2], [None]]], {}, r"histories\[1\].values\[1\] must be a number, got None"),
        ([1.0, 2.0], {}, r"histories\[0\] must be a series of rows, got 1.0"),
        (["12"], {}, r"histories\[0\] must be a series of rows, got '12'"),
        ([[1]], {"horizon": -1}, r"horizon must be a whole number in .* got -1"),
        ([[1]], {"quantiles": [0.1, "low"]}, r"quantiles\[1\] must be a number, got 'low'"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_by_its_place(
    client, service, histories, asked, message
):
    with pytest.raises(stepwire.InvalidRequest, match=message):
        client.forecast("level", histories, **asked)
    assert service.requests == []


def test_a_forecaster_is_described_with_its_columns(client):
    series = client.model("sea").series
    assert (series.columns, series.horizon) == (("tide", "wind"), 3)
    assert client.model("echo").series is None
