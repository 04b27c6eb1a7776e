"""perf_analyzer as it is: it measures a classifier, sequences over unary calls and over streams."""

import csv
import json

import pytest

from support.foreign_tools import perf_analyzer, run


@pytest.fixture(scope="session")
def analyzer(tmp_path_factory):
    return perf_analyzer(tmp_path_factory.mktemp("perf_analyzer"))


def measure(analyzer, folder, address, model, data, *options):
    """Runs it for three short windows; gives the line of its report."""
    program, environment = analyzer
    inputs, report = folder / "inputs.json", folder / "report.csv"
    inputs.write_text(json.dumps({"data": data}))
    # Stable or not: a busy machine must not fail the test.
    status, told = run(
        *(program, "-m", model, "-i", "grpc", "-u", address, "--input-data", inputs),
        *("-p", "300", "-r", "3", "-s", "999", "--percentile", "99", "-f", report),
        *options,
        env=environment,
    )
    assert status == 0, told[-3000:]
    [line] = list(csv.DictReader(report.read_text().splitlines()))
    assert float(line["Inferences/Second"]) > 0
    return line, told


def token(number):
    return {"token": {"content": [number], "shape": [1]}}


def test_it_measures_a_classifier(analyzer, tmp_path, address):
    data = [{"tokens": {"content": [n, 2, 3, 4], "shape": [4]}} for n in range(1, 9)]
    line, _ = measure(
        analyzer, tmp_path, address, "judge", data, "--concurrency-range", "4", "--async"
    )
    for part in ("Server Queue", "Server Compute Infer"):
        assert float(line[part]) >= 0


def test_it_measures_sequences(analyzer, tmp_path, address):
    data = [[token(n), token(n + 1), token(n + 2)] for n in range(1, 5)]
    measure(analyzer, tmp_path, address, "tiny", data, "--concurrency-range", "4")


def test_it_measures_sequences_over_streams(analyzer, tmp_path, address):
    data = [[token(n) for n in range(1, 11)]] * 4
    _, told = measure(
        *(analyzer, tmp_path, address, "tiny", data),
        *("--streaming", "--concurrency-range", "4", "--sequence-length", "10"),
    )
    assert "sequence" in told.lower()


def test_it_measures_states_that_travel(analyzer, tmp_path, address):
    data = [token(n) for n in range(1, 9)]
    measure(
        analyzer, tmp_path, address, "tiny.explicit", data, "--concurrency-range", "2", "--async"
    )
