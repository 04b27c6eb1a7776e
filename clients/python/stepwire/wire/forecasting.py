"""Requests and answers of `Forecast`."""

from collections.abc import Iterable, Mapping, Sequence

from stepwire.forecasts import Forecast, History, Rows
from stepwire.v1 import forecasting_pb2
from stepwire.wire.building import build, refused


def forecast_request(
    model: str,
    version: str,
    histories: Sequence[History],
    wanted: Mapping[str, object],
) -> forecasting_pb2.ForecastRequest:
    """Asks how every series goes on; `wanted` are fields of the request."""
    request = build(forecasting_pb2.ForecastRequest, model=model, version=version, **wanted)
    for index, history in enumerate(histories):
        name = f"histories[{index}]"
        if isinstance(history, str) or not isinstance(history, Iterable):
            raise refused(name, "be a series of rows", history)
        values = _numbers(history)
        request.histories.append(build(forecasting_pb2.Series, f"{name}.", values=values))
    return request


def forecasts(response: forecasting_pb2.ForecastResponse) -> list[Forecast]:
    """One forecast a history, in the order of the request."""
    targets = tuple(response.targets)

    def rows(numbers: Sequence[float]) -> Rows:
        starts = range(0, len(numbers), len(targets))
        return tuple(tuple(numbers[start : start + len(targets)]) for start in starts)

    return [
        Forecast(
            targets=targets,
            values=rows(forecast.values),
            spread=rows(forecast.spread),
            quantiles={it.level: rows(it.values) for it in forecast.quantiles},
            surprises=tuple(forecast.surprises),
            direct_rows=response.direct_rows,
            fed_back_rows=response.fed_back_rows,
        )
        for forecast in response.forecasts
    ]


def _numbers(history: History) -> list[float]:
    """Row by row; a row may be a number alone."""
    numbers: list[float] = []
    for row in history:
        if isinstance(row, Iterable) and not isinstance(row, str):
            numbers.extend(row)
        else:
            numbers.append(row)
    return numbers
