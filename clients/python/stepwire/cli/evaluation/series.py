"""The series that forecasters are scored on."""

import csv
import io
import json
import statistics
import tarfile
from typing import NamedTuple

from stepwire.cli.evaluation.files import File

ETTH1 = File(
    path="ett/ETTh1.csv",
    sha256="f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
)
ETT_TRAIN, ETT_TEST, ETT_END = 8_640, 11_520, 14_400  # rows: 12 months, then 4, then 4
NAB = File(
    path="nab/nab-data-labels.tar",
    sha256="f89234bfe09e673e38f6addf30fa42cadf42b996e221c5b15c6fe21b71296070",
)
NAB_LABELS = "labels/combined_windows.json"


class Held(NamedTuple):
    """A series of which the end was held out."""

    rows: list[list[float]]
    scales: list[float]  # standard deviations of the rows learned from, column by column
    first: int  # row that was held out


class Stream(NamedTuple):
    """A stream of values, and where people found it strange."""

    values: list[float]
    windows: tuple[tuple[int, int], ...]  # first and last row of each
    learned: bool  # it chose the threshold of alarms; the others were held out


def etth1(*columns: str) -> list[Held]:
    """Hourly readings of a transformer."""
    records = list(csv.DictReader(io.StringIO(ETTH1.read().decode())))
    rows = [[float(record[name]) for name in columns] for record in records[:ETT_END]]
    scales = [statistics.pstdev(column) for column in zip(*rows[:ETT_TRAIN], strict=True)]
    return [Held(rows, scales, ETT_TEST)]


def nab() -> list[Stream]:
    """The streams of the benchmark in the order of their names; every other was learned from."""
    with tarfile.open(fileobj=io.BytesIO(NAB.read())) as archive:
        labels = json.loads(_member(archive, NAB_LABELS))
        return [
            _stream(_member(archive, f"data/{name}"), windows, learned=place % 2 == 0)
            for place, (name, windows) in enumerate(sorted(labels.items()))
        ]


def _stream(content: str, windows: list[tuple[str, str]], *, learned: bool) -> Stream:
    records = list(csv.DictReader(io.StringIO(content)))
    # Labels carry fractions of a second, all zero.
    times = [record["timestamp"][:19] for record in records]
    found = tuple((times.index(a[:19]), times.index(b[:19])) for a, b in windows)
    return Stream([float(record["value"]) for record in records], found, learned)


def _member(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(name)
    assert file is not None, name  # the archive is known by its digest
    return file.read().decode()
