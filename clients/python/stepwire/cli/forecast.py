"""`stepwire forecast`: how the series in a CSV file goes on."""

import argparse
import csv
import io
from collections.abc import Iterator, Sequence

from stepwire.cli import forecast_plot
from stepwire.cli.lines import InputError
from stepwire.cli.series import Series
from stepwire.cli.terminal import as_json, table, write_lines
from stepwire.client import Client
from stepwire.errors import InvalidRequest
from stepwire.forecasts import Forecast


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes beside the model."""
    parser.description = (
        "Print the rows that follow those of a CSV file with a header, oldest first. Columns are "
        "found by the names that the model has for them (`stepwire show`)."
    )
    parser.add_argument("file", metavar="FILE", help="the CSV file; - is standard input")
    parser.add_argument(
        "--horizon",
        type=int,
        metavar="N",
        help="rows to predict; default: the model's own, and beyond it predictions are fed back",
    )
    parser.add_argument(
        "--columns",
        "--column",
        nargs="+",
        metavar="NAME",
        help="the file's names for the model's columns, in the model's order",
    )
    parser.add_argument(
        "--quantiles",
        type=float,
        nargs="+",
        default=[],
        metavar="LEVEL",
        help="print these quantiles too, each in (0, 1); they are Gaussian",
    )
    parser.add_argument(
        "--plot", metavar="PNG", help="draw the end of the series, the prediction and 80 %% of it"
    )
    parser.add_argument("--csv", action="store_true", help="print CSV, in full precision")


def run(args: argparse.Namespace, client: Client) -> None:
    """Prints the rows that follow those of the file, and draws them if it is told to."""
    if args.plot:
        forecast_plot.check()
    described = client.model(args.model, version=args.model_version).series
    if described is None:
        raise InputError(f"{args.model} predicts no series: `stepwire models` lists what does")
    series = Series.read(args.file, described.columns, args.columns)
    forecast = _predicted(args, client, series)
    if args.plot:
        places = [described.columns.index(name) for name in forecast.targets]
        known = [[row[place] for place in places] for row in series.rows]
        forecast_plot.draw(known, forecast, args.plot, title=f"{args.model}: {series.source}")
    write_lines(_lines(args, forecast))


def _predicted(args: argparse.Namespace, client: Client, series: Series) -> Forecast:
    try:
        [forecast] = client.forecast(
            args.model,
            [series.rows],
            horizon=args.horizon,
            quantiles=args.quantiles,
            version=args.model_version,
        )
    except InvalidRequest as error:
        raise series.located(error) from error
    return forecast


def _lines(args: argparse.Namespace, forecast: Forecast) -> list[str]:
    if args.json:
        return [as_json(row) for row in _objects(forecast)]
    if args.csv:
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(_cells(forecast))
        return written.getvalue().splitlines()
    head, *rows = _cells(forecast)
    shown = [[first, *map(_shown, numbers), last] for first, *numbers, last in rows]
    return table([head, *shown])


def _cells(forecast: Forecast) -> Iterator[list[str]]:
    """A heading, then a row for each row ahead, in full precision."""
    levels = [f"{level:g}" for level in forecast.quantiles]
    told = [
        f"{name}{part}"
        for name in forecast.targets
        for part in ("", " spread", *(f" {level}" for level in levels))
    ]
    yield ["ahead", *told, "fed back"]
    for place, (values, spread) in enumerate(zip(forecast.values, forecast.spread, strict=True)):
        bands = [rows[place] for rows in forecast.quantiles.values()]
        numbers = [
            repr(part[target]) for target in range(len(values)) for part in (values, spread, *bands)
        ]
        fed_back = "yes" if place >= forecast.direct_rows else "no"
        yield [str(place + 1), *numbers, fed_back]


def _shown(number: str) -> str:
    """As many digits as a person reads."""
    return f"{float(number):.6g}"


def _objects(forecast: Forecast) -> Iterator[dict[str, object]]:
    def named(row: Sequence[float]) -> dict[str, float]:
        return dict(zip(forecast.targets, row, strict=True))

    for place, (values, spread) in enumerate(zip(forecast.values, forecast.spread, strict=True)):
        yield {
            "ahead": place + 1,
            "values": named(values),
            "spread": named(spread),
            "quantiles": {
                f"{level:g}": named(rows[place]) for level, rows in forecast.quantiles.items()
            },
            "fed_back": place >= forecast.direct_rows,
        }
