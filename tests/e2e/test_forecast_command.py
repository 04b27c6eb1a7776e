"""`stepwire forecast` against a real server."""

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.tiny_series import COLUMNS, HORIZON, TinySeries, some_rows, write_forecaster

CLIENT = Path(__file__).parents[2] / "clients" / "python"


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_forecaster(folder)
    write_forecaster(folder, "winds", targets=("wind",))
    return folder


@pytest.fixture
def command(app):
    """Runs the command to its end without holding up the server, which lives in this loop."""
    environment = os.environ | {
        "STEPWIRE_ADDRESS": f"127.0.0.1:{app.grpc_port}",
        "PYTHONPATH": str(CLIENT),
    }

    def run(args, stdin):
        done = subprocess.run(
            [sys.executable, "-m", "stepwire", "forecast", *args],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    return lambda *args, stdin="": asyncio.to_thread(run, args, stdin)


@pytest.fixture
def rows():
    return some_rows(600)


@pytest.fixture
def file(tmp_path, rows):
    """The rows as a file, its columns in another order than the model's."""
    path = tmp_path / "tides.csv"
    lines = [f"{hour},{wind!r},{tide!r}" for hour, (tide, wind) in enumerate(rows.tolist())]
    path.write_text("\n".join(["hour,wind,tide", *lines]) + "\n")
    return str(path)


def as_file(numbers):
    return "\n".join([",".join(COLUMNS), *(",".join(map(repr, row)) for row in numbers)])


async def test_a_file_is_forecast_as_its_rows_are(command, file, rows):
    code, out, err = await command("tides", file, "--horizon", "7", "--json")
    assert (code, err) == (0, "")
    told = [json.loads(line) for line in out.splitlines()]
    values, spread = TinySeries().forecast(rows, 7)
    for part, wanted in (("values", values), ("spread", spread)):
        given = [[row[part][name] for name in COLUMNS] for row in told]
        np.testing.assert_array_equal(np.array(given, np.float32), wanted)
    assert [row["fed_back"] for row in told] == [False] * HORIZON + [True] * 4


async def test_csv_that_was_printed_can_be_forecast_in_turn(command, file, rows):
    _, out, _ = await command("tides", file, "--csv")
    records = list(csv.DictReader(io.StringIO(out)))
    assert list(records[0]) == [
        *("ahead", "tide", "tide spread", "wind", "wind spread", "fed back")
    ]
    code, again, err = await command("tides", "-", "--csv", stdin=out)
    assert (code, err) == (0, "")
    values = TinySeries().forecast(TinySeries().forecast(rows, HORIZON)[0], HORIZON)[0]
    given = [[float(row[name]) for name in COLUMNS] for row in csv.DictReader(io.StringIO(again))]
    np.testing.assert_array_equal(np.array(given, np.float32), values)


async def test_a_plot_shows_the_targets_alone(command, file, tmp_path):
    image = tmp_path / "winds.png"
    code, _, err = await command("winds", file, "--plot", str(image), "--quantiles", "0.5")
    assert (code, err) == (0, "")
    assert image.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


async def test_a_number_beyond_single_precision_is_named_by_line_and_column(command):
    code, _, err = await command("tides", "-", stdin=as_file([[1.0, 2.0], [3.0, 1e39]]))
    assert code == 1
    assert "line 3 of standard input, column 'wind': histories[0].values[3] must be finite" in err


async def test_what_the_server_refuses_is_said_in_a_line(command, file):
    code, out, err = await command("winds", file, "--horizon", "4")
    assert (code, out) == (1, "")
    assert err.startswith("stepwire: horizon must be in [0, 3], as the model predicts wind alone")
    assert err.count("\n") == 1
