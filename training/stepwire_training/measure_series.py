"""The figures of a forecaster: errors ahead on rows held out, and its alarms on streams."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stepwire_training import nab_scoring
from stepwire_training.data.observed import Labelled, Observed, Rows
from stepwire_training.data.series import ahead
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.models.network import State
from stepwire_training.nab_scoring import Alarms, Floats, Labels
from stepwire_zoo.manifest import Metric

WINDOW = 6400  # values that the simple detector looks back at, tuned by its authors on all streams
CHOOSING = "streams that chose the threshold"


class Read(NamedTuple):
    """What a model said of the held-out rows."""

    direct: Rows  # [M, H, F] the rows behind each, predicted at once
    fed: Rows  # [M, H, F] the same, predicted one at a time from its own predictions


def figures(model: Forecaster, observed: Observed, published: str) -> tuple[Metric, ...]:
    """Every figure that the data allows; the first has the published one beside it."""
    found: list[Metric] = []
    if observed.rows is not None:
        found += forecasts(model, observed, published)
    if observed.unseen:
        found += anomalies(model, observed, published)
    return tuple(found)


def forecasts(model: Forecaster, observed: Observed, published: str) -> list[Metric]:
    """Errors over every window that lies in the held-out rows, in standard deviations.

    The deviations are those of the training split. The model reads the series from its
    first row on and carries its state; a window's forecast is what it says after the row
    before it.
    """
    rows, (first, end), horizon = observed.rows, observed.held_out, observed.horizon
    assert rows is not None
    places = np.arange(first - 1, end - horizon)  # the last row known, one for each window
    wanted = ahead(rows, places, horizon)
    read, season = _read(model, rows, places), observed.season
    cycle = np.arange(horizon) % season + 1 - season
    guesses = {
        f"{horizon} rows ahead": read.direct,
        "one row ahead": read.direct[:, :1],
        f"{horizon} rows by feeding predictions back": read.fed,
        f"{horizon} rows, the last value again (naive)": rows[places][:, None],
        f"{horizon} rows, those of {season} rows before (seasonal naive)": rows[
            places[:, None] + cycle
        ],
    }
    found: list[Metric] = []
    for name, guess in guesses.items():
        wide = wanted[:, :1] if "one row" in name else wanted
        found += errors(name, (guess - wide) / observed.scales)
    return [replace(found[0], published=published), *found[1:]]


def errors(name: str, apart: Rows) -> list[Metric]:
    """Two figures of how far predictions lay off, in deviations: [M, H, F]."""
    squared = float(np.square(apart, dtype=np.float64).mean())
    absolute = float(np.abs(apart).mean(dtype=np.float64))
    return [
        Metric(name=f"MSE, {name}", value=squared, unit="squared deviations", split="test"),
        Metric(name=f"MAE, {name}", value=absolute, unit="deviations", split="test"),
    ]


def _read(model: Forecaster, rows: Rows, places: NDArray[np.int64]) -> Read:
    """Reads a series once, and on from each of some places by itself."""
    said: list[Tensor] = []
    states: list[State] = []
    with torch.inference_mode():
        features = torch.from_numpy(rows[None])
        _, state = model(features[:, : places[0]], model.start(1))
        for place in places:
            forecast, state = model(features[:, place : place + 1], state)
            said.append(forecast.values[:, 0])
            states.append(state)
        direct = torch.cat(said)  # [M, H, F]
        state = tuple(torch.cat(part) for part in zip(*states, strict=True))
        fed = [direct[:, 0]]
        while len(fed) < direct.shape[1]:
            forecast, state = model(fed[-1].unsqueeze(1), state)
            fed.append(forecast.values[:, 0, 0])
    return Read(direct.numpy(), torch.stack(fed, dim=1).numpy())


def anomalies(model: Forecaster, observed: Observed, published: str) -> list[Metric]:
    """The benchmark's scores of alarms, and those of a simple detector beside them."""
    streams = (*observed.learned, *observed.unseen)
    by_surprise = {stream.name: surprise(model, stream.rows) for stream in streams}
    by_deviations = {stream.name: deviations(stream.rows) for stream in streams}
    found = nab_scores("surprise", by_surprise, observed)
    found[-1] = replace(found[-1], published=published)
    threshold = nab_scoring.best_threshold(alarms(observed.learned, by_surprise))
    beside = nab_scores(f"deviations from {WINDOW} values before", by_deviations, observed)
    chosen = Metric(name="threshold of surprise", value=threshold, unit="nats", split=CHOOSING)
    return [*found, *beside, chosen]


def nab_scores(name: str, scored: dict[str, Floats], observed: Observed) -> list[Metric]:
    """A detector's score on streams held out, on those that chose, and on all as published."""
    chosen, unseen = alarms(observed.learned, scored), alarms(observed.unseen, scored)
    every = alarms([*observed.learned, *observed.unseen], scored)
    threshold = nab_scoring.best_threshold(chosen)
    measured = {
        "streams held out, threshold from the others": (unseen, threshold),
        CHOOSING: (chosen, threshold),
        "all streams, threshold from all": (every, nab_scoring.best_threshold(every)),
    }
    return [
        Metric(
            name=f"NAB score by {name}",
            value=nab_scoring.scaled(rows, limit),
            unit="of 100, standard profile",
            split=split,
        )
        for split, (rows, limit) in measured.items()
    ]


def surprise(model: Forecaster, rows: Rows) -> Floats:
    """How many nats each row of a stream cost: [T]."""
    with torch.inference_mode():
        forecast, _ = model(torch.from_numpy(rows[None]), model.start(1))
    return forecast.score[0, :, 0].numpy().astype(np.float64)


def deviations(rows: Rows) -> Floats:
    """How far each row of a stream lies off those before it: [T]."""
    return nab_scoring.sliding_z(rows[:, 0].astype(np.float64), WINDOW)


def alarms(streams: Sequence[Labelled], scored: dict[str, Floats]) -> Alarms:
    """The rows of some streams that count, as they were scored."""
    return nab_scoring.alarms(
        [(Labels(len(stream.rows), stream.windows), scored[stream.name]) for stream in streams]
    )
