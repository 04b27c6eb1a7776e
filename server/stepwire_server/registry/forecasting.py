"""A model that predicts how series go on.

Shapes: T rows of a history, F columns, H the model's own horizon, R rows asked for, C targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from stepwire_server.config import BatchingConfig
from stepwire_server.engine.pool import AnyEngine
from stepwire_server.errors import InternalError, InvalidRequest, check_range
from stepwire_server.registry.reading_series import Reading, ReadingCall
from stepwire_zoo.manifest import Manifest, Series

MOST_QUANTILES = 99
MOST_NUMBERS = 1_000_000  # of one answer: 4 MB, which any gRPC client takes in

Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What to tell of each series."""

    horizon: int = 0  # rows to predict; 0: the model's own
    quantiles: tuple[float, ...] = ()  # levels
    surprises: bool = False  # and how surprising each row of the history was


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """How one series goes on."""

    values: Rows  # [R, C]
    spread: Rows  # [R, C], standard deviations
    quantiles: tuple[tuple[float, Rows], ...]  # level and [R, C], as they were asked for
    surprises: NDArray[np.float32] | None  # [T] nats, if they were asked for


class ForecastingModel:
    """Checks histories, has them read, and tells what is expected after them."""

    def __init__(self, engine: AnyEngine, spec: Manifest, config: BatchingConfig) -> None:
        assert spec.series is not None  # the manifest of a forecaster has it
        self.series: Series = spec.series
        self._engine = engine
        self._config = config
        # Where the model finds each of its columns among its own predictions.
        self._feedback: list[int] | None = None
        if set(self.series.targets) == set(self.series.columns):
            self._feedback = [self.series.targets.index(name) for name in self.series.columns]

    def rows_ahead(self, asked: Asked) -> tuple[int, int]:
        """How many rows are predicted directly, and how many behind those by feeding back."""
        horizon = asked.horizon or self.series.horizon
        direct = min(horizon, self.series.horizon)
        return direct, horizon - direct

    async def forecast(
        self, histories: Sequence[Rows], asked: Asked, deadline: float | None
    ) -> list[Forecast]:
        """Predicts how series go on.

        Args:
            histories: at least one, row by row: [T * F] each.
            asked: what to tell.
            deadline: of the monotonic clock; it bounds the time in the queue.

        Returns:
            One forecast for each history, in order.

        Raises:
            InvalidRequest, Overloaded, ShuttingDown: nothing was done.
            DeadlineExceeded: it passed while a history was queued.
            InternalError: the model's numbers are not finite.
        """
        self._check(asked)
        series = [self._rows(index, values) for index, values in enumerate(histories)]
        self._check_size(series, asked)
        readings = [
            Reading(
                rows=rows,
                horizon=sum(self.rows_ahead(asked)),
                feedback=self._feedback,
                scored=asked.surprises,
            )
            for rows in series
        ]
        await ReadingCall(self._engine, readings, deadline).run()
        return [_told(reading, asked) for reading in readings]

    def _check(self, asked: Asked) -> None:
        own = self.series.horizon
        check_range("horizon", asked.horizon, 0, max(own, self._config.max_horizon))
        if asked.horizon > own and self._feedback is None:
            names = ", ".join(self.series.targets)
            allowed = (
                f"be in [0, {own}], as the model predicts {names} alone "
                "and could not read its own predictions"
            )
            raise InvalidRequest.of("horizon", allowed, asked.horizon)
        check_range("number of quantiles", len(asked.quantiles), 0, MOST_QUANTILES)
        for place, level in enumerate(asked.quantiles):
            name = f"quantiles[{place}]"
            check_range(name, level, 0, 1, open_low=True, open_high=True)
            if level in asked.quantiles[:place]:
                raise InvalidRequest.of(name, "differ from those before it", level)

    def _rows(self, index: int, values: Rows) -> Rows:
        """Cuts the numbers of a history into rows, [T, F]; raises InvalidRequest."""
        name, columns = f"histories[{index}].values", self.series.columns
        if len(values) % len(columns):
            named = f"a row has {', '.join(columns)}"
            allowed = f"have a multiple of {len(columns)} numbers: {named}"
            raise InvalidRequest.of(name, allowed, len(values))
        rows = values.reshape(-1, len(columns))
        if not 0 < len(rows) <= self._config.max_history_rows:
            allowed = f"hold between 1 and {self._config.max_history_rows} rows"
            raise InvalidRequest.of(name, allowed, len(rows))
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            place = int(wrong[0])
            raise InvalidRequest.of(f"{name}[{place}]", "be finite", float(values[place]))
        return rows

    def _check_size(self, series: Sequence[Rows], asked: Asked) -> None:
        predicted = len(series) * sum(self.rows_ahead(asked)) * len(self.series.targets)
        numbers = predicted * (2 + len(asked.quantiles))
        if asked.surprises:
            numbers += sum(map(len, series))
        if numbers > MOST_NUMBERS:
            allowed = (
                f"hold at most {MOST_NUMBERS} numbers: values, spread and every quantile of "
                "every history, and its surprises"
            )
            raise InvalidRequest.of("the answer", allowed, numbers)


def _told(reading: Reading, asked: Asked) -> Forecast:
    values, spread = reading.values, reading.spread
    quantiles = tuple((level, quantile(values, spread, level)) for level in asked.quantiles)
    # The engine looks at the values alone.
    told = (spread, reading.surprises, *(band for _, band in quantiles))
    if not all(np.isfinite(numbers).all() for numbers in told):
        raise InternalError("the model gave numbers that are not finite")
    return Forecast(
        values=values,
        spread=spread,
        quantiles=quantiles,
        surprises=reading.surprises if asked.surprises else None,
    )


def quantile(values: Rows, spread: Rows, level: float) -> Rows:
    """What Gaussian values [R, C] of this spread stay below with a probability in (0, 1)."""
    deviations = NormalDist().inv_cdf(level)
    with np.errstate(over="ignore"):
        return (values + deviations * spread.astype(np.float64)).astype(np.float32)
