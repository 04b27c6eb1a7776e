"""Draws a text with what a cell held behind each character."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROW_INCHES, COLUMN_INCHES = 0.2, 0.088
TAB = 4


class Panel(NamedTuple):
    """One cell over one piece of text."""

    title: str
    text: str
    values: NDArray[np.float32]  # [T] in [-1, 1]


def drawn(panels: Sequence[Panel]) -> bytes:
    """The panels below one another, as a PNG image."""
    # Imported here: drawing is slow to load.
    from matplotlib.figure import Figure

    grids = [laid_out(panel) for panel in panels]
    columns = max(column for grid in grids for _, column, _, _ in grid) + 1
    heights = [max(row for row, _, _, _ in grid) + 1 for grid in grids]
    size = (columns * COLUMN_INCHES + 0.4, sum(heights) * ROW_INCHES + 0.45 * len(panels))
    figure = Figure(figsize=size, layout="constrained")
    all_axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel, grid, height in zip(all_axes, panels, grids, heights, strict=True):
        colours = np.full((height, columns), np.nan)
        for row, column, character, value in grid:
            colours[row, column] = value
            if character.strip():
                axes.text(
                    column, row, character, family="monospace", size=7, ha="center", va="center"
                )
        axes.imshow(colours, cmap="coolwarm", vmin=-1.3, vmax=1.3, aspect="auto")
        axes.set_title(panel.title, size=8, loc="left")
        axes.set_axis_off()
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    return image.getvalue()


def laid_out(panel: Panel) -> list[tuple[int, int, str, float]]:
    """Row, column, character and value of each place; tabs are spaces."""
    places, row, column = [], 0, 0
    for character, value in zip(panel.text, panel.values.tolist(), strict=True):
        width = TAB - column % TAB if character == "\t" else 1
        shown = " " if character.isspace() else character
        places += [(row, column + n, shown if n == 0 else " ", value) for n in range(width)]
        column += width
        if character == "\n":
            row, column = row + 1, 0
    return places
