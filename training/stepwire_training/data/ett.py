"""ETTh1: seven hourly readings of an electricity transformer (Zhou et al., Informer, 2021).

Twelve months to learn from, four to choose, four to measure, as in that paper; a month
has 30 days.
"""

import csv
import io
from dataclasses import dataclass

import numpy as np
import torch

from stepwire_training.data.batches import Dataset
from stepwire_training.data.fetch import Source
from stepwire_training.data.observed import Observed, Rows
from stepwire_training.data.series import Cut, Streams, Windows

FILE = Source(
    path="ett/ETTh1.csv",
    url="https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv",
    sha256="f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
)
DAY = 24
MONTH = 30 * DAY
SPLITS = (12 * MONTH, 16 * MONTH, 20 * MONTH)  # rows behind the last of each


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Windows of some readings."""

    columns: tuple[str, ...]
    cut: Cut
    seed: int  # draws the windows

    def load(self) -> Dataset:
        """Reads the file and makes its splits."""
        return split(parse(FILE.read().decode(), self.columns), self)


def parse(text: str, columns: tuple[str, ...]) -> Rows:
    """Some columns of a CSV file: [n, F]."""
    records = csv.DictReader(io.StringIO(text))
    rows = [[float(record[name]) for name in columns] for record in records]
    return np.array(rows, np.float32)


def split(
    rows: Rows,
    config: Transformer,
    ends: tuple[int, int, int] = SPLITS,
) -> Dataset:
    """A series as a data set.

    Args:
        rows: [n, F].
        config: their names, and how windows are cut.
        ends: the rows behind the last of the three splits.
    """
    horizon = config.cut.horizon
    train, dev, test = ends
    scales = rows[:train].std(axis=0)
    return Dataset(
        tokenizer=None,
        labels=(),
        train=Windows([rows[:train]], config.cut, config.seed),
        dev=Streams([rows], [(train, dev)], horizon),
        test=Streams([rows], [(dev, test)], horizon),
        facts={"training rows": train, "validation rows": dev - train, "test rows": test - dev},
        vectors=lambda: torch.from_numpy(scales),
        series=Observed(
            columns=config.columns,
            horizon=horizon,
            means=rows[:train].mean(axis=0),
            scales=scales,
            season=DAY,
            rows=rows,
            held_out=(dev, test),
        ),
    )
