"""What a study leaves: tables and pictures."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stepwire_training.checkpoint import write_atomically
from stepwire_training.comparing import written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[tuple[str, ...]]  # the heading first


class Findings(NamedTuple):
    """What was measured, and how it looks."""

    tables: dict[str, Rows]  # by the name of the file, without .csv
    pictures: dict[str, bytes]  # PNG, by the name of the file, without .png

    def write(self, folder: Path) -> list[Path]:
        """Writes them into a folder, which is made if it is missing; says where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {
            folder / f"{name}.csv": written(rows[0], rows[1:]).encode()
            for name, rows in self.tables.items()
        }
        files |= {folder / f"{name}.png": picture for name, picture in self.pictures.items()}
        for path, content in files.items():
            write_atomically(path, content)
        return list(files)


def read(path: Path) -> Rows:
    """A table as it was written."""
    with path.open(newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def figure(width: float, height: float) -> "Figure":
    """An empty picture of so many inches."""
    # Imported here: drawing is slow to load.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def image(drawing: "Figure") -> bytes:
    """A figure as PNG."""
    result = io.BytesIO()
    drawing.savefig(result, format="png", dpi=100)
    return result.getvalue()
