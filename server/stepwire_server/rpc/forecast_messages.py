"""Between the wire messages of forecasts and domain values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stepwire.v1 import forecasting_pb2 as pb
from stepwire_server.errors import check_range
from stepwire_server.registry.forecasting import Asked, Forecast, ForecastingModel


def histories(request: pb.ForecastRequest, most: int) -> list[NDArray[np.float32]]:
    """Reads the numbers of every series; what they mean is the model's business."""
    check_range("number of histories", len(request.histories), 1, most)
    return [np.array(series.values, np.float32) for series in request.histories]


def asked(request: pb.ForecastRequest) -> Asked:
    """Reads what to tell."""
    return Asked(
        horizon=request.horizon,
        quantiles=tuple(request.quantiles),
        surprises=request.surprises,
    )


def response(
    forecasts: Sequence[Forecast], asked: Asked, model: ForecastingModel
) -> pb.ForecastResponse:
    """Wraps forecasts."""
    direct, fed_back = model.rows_ahead(asked)
    return pb.ForecastResponse(
        forecasts=[_forecast(forecast) for forecast in forecasts],
        targets=model.series.targets,
        direct_rows=direct,
        fed_back_rows=fed_back,
    )


def _forecast(forecast: Forecast) -> pb.SeriesForecast:
    return pb.SeriesForecast(
        values=_numbers(forecast.values),
        spread=_numbers(forecast.spread),
        quantiles=[
            pb.Quantile(level=level, values=_numbers(values))
            for level, values in forecast.quantiles
        ],
        surprises=[] if forecast.surprises is None else _numbers(forecast.surprises),
    )


def _numbers(array: NDArray[np.float32]) -> list[float]:
    numbers: list[float] = array.ravel().tolist()
    return numbers
