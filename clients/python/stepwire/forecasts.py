"""How a series goes on: what `forecast()` takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A row for each moment, oldest first; of a model with a single column the numbers alone.
History = Sequence[Sequence[float]] | Sequence[float]
Rows = tuple[tuple[float, ...], ...]  # a row for each moment, the next first


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is expected after one history."""

    targets: tuple[str, ...]  # names of the columns that are predicted
    values: Rows  # as many numbers a row as there are targets
    spread: Rows  # standard deviations; too narrow in rows that were fed back
    quantiles: Mapping[float, Rows]  # by level, as they were asked for
    surprises: tuple[float, ...]  # nats of each row of the history, if they were asked for
    direct_rows: int  # rows, the first ones, predicted from the history alone
    fed_back_rows: int  # rows behind those, predicted after reading predictions

    def column(self, target: str) -> tuple[float, ...]:
        """The predicted values of one column."""
        place = self.targets.index(target)
        return tuple(row[place] for row in self.values)
