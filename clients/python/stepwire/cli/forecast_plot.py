"""Draws how a series goes on: its end, what is predicted, and a band around that."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

from stepwire.cli.lines import InputError
from stepwire.forecasts import Forecast

BAND = 0.8  # the share of what may come that the band should hold
_LEAST_KNOWN = 48  # rows of the history that are shown, if there are so many


def check() -> None:
    """Raises InputError where matplotlib is not installed; before any work is done."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError("--plot needs matplotlib: pip install 'stepwire[cli]'") from None


def draw(known: Sequence[Sequence[float]], forecast: Forecast, path: str, *, title: str) -> None:
    """Writes a PNG image with a panel for each column that is predicted.

    Args:
        known: the history, a number for each target a row.
        forecast: of it.
        path: where to write.
        title: above it all.
    """
    from matplotlib.figure import Figure

    count = len(forecast.targets)
    figure = Figure(figsize=(9, 1.2 + 2.3 * count), layout="constrained")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    figure.suptitle(title)
    shown = known[-max(_LEAST_KNOWN, 3 * len(forecast.values)) :]
    for place, (panel, name) in enumerate(zip(panels, forecast.targets, strict=True)):
        _draw_column(panel, [row[place] for row in shown], forecast, place)
        panel.set_ylabel(name)
    panels[0].legend(loc="upper left", fontsize="small")
    panels[-1].set_xlabel("rows, the last one known is 0")
    figure.savefig(path, format="png", dpi=120)


def _draw_column(panel: Any, known: list[float], forecast: Forecast, place: int) -> None:
    values = [row[place] for row in forecast.values]
    width = NormalDist().inv_cdf(0.5 + BAND / 2)
    apart = [width * row[place] for row in forecast.spread]
    ahead = range(1, len(values) + 1)
    panel.plot(range(1 - len(known), 1), known, color="black", linewidth=1, label="known")
    # The prediction begins where the known rows end, or a gap would look like a jump.
    panel.plot([0, *ahead], [known[-1], *values], color="tab:blue", label="predicted")
    panel.fill_between(
        ahead,
        [value - each for value, each in zip(values, apart, strict=True)],
        [value + each for value, each in zip(values, apart, strict=True)],
        color="tab:blue",
        alpha=0.2,
        linewidth=0,
        label=f"{BAND:.0%}",
    )
    if forecast.fed_back_rows:
        panel.axvline(forecast.direct_rows, color="grey", linestyle=":", label="fed back from here")
