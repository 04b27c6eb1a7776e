"""What comparisons share: short runs, made once each, and a table beside the recipes."""

import csv
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stepwire_training.card import RECIPES
from stepwire_training.checkpoint import write_atomically
from stepwire_training.interrupt import EXIT_CODE, Interrupt
from stepwire_training.train import Stopped

Rows = Callable[[Path, Interrupt], Sequence[tuple[str, ...]]]


def compare(table: str, heading: tuple[str, ...], rows: Rows) -> int:
    """Makes the runs and writes their table; the answer is the exit code.

    Args:
        table: name of the file.
        heading: of its columns.
        rows: makes the runs in a folder, and gives the table's rows.
    """
    runs = Path(os.environ.get("STEPWIRE_RUNS", "runs"))
    with Interrupt() as interrupt:
        try:
            found = rows(runs, interrupt)
        except Stopped:
            sys.stderr.write(f"\nStopped. The same command goes on from {runs}.\n")
            return EXIT_CODE
    write_atomically(RECIPES / table, written(heading, found).encode())
    return 0


def written(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """The file's text."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([heading, *rows])
    return text.getvalue()
