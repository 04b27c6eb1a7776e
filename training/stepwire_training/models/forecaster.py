"""A recurrent forecaster: reads a series row by row, predicts the rows ahead, and says how sure.

B rows, T positions, F columns, K rows remembered, L layers, U hidden units, H rows ahead.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from stepwire_training.models.dropout import LockedDropout
from stepwire_training.models.level import track
from stepwire_training.models.network import Network, State
from stepwire_training.models.recurrent import STATES, Cell, RecurrentLayer
from stepwire_training.models.wording import layers

FARTHEST = 10.0  # in units; what lies farther off is read as if it lay there
MOST_SPREAD = 50.0  # in units
QUIET_ROWS = {"constant": 1, "running": 8}  # of a stream, that nothing can be expected of yet
MOST_SURPRISING = 1000.0  # in expected deviations; keeps a score finite
LEAST_SHARE = 1e-2  # of its level, that a running unit is at least
LEAST_UNIT = 1e-6
LOG_ROOT = 0.5 * math.log(2.0 * math.pi)  # of the Gaussian density


class Forecast(NamedTuple):
    """What is known after each position."""

    values: Tensor  # [B, T, H, F] what the next rows are expected to hold
    spread: Tensor  # [B, T, H, F] standard deviations of that
    score: Tensor  # [B, T, 1] nats that the row just read cost
    unit: Tensor  # [B, T, F] what the series is measured in


class Forecaster(Network):
    """Predicts how the series will differ from the row just read.

    Everything the layers read is a difference too, to the row before and to the running
    level, so a series that has drifted to where it never was looks the same to them.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        cell: Cell
        layers: int
        hidden: int
        lags: int  # rows remembered as they were, which a linear map looks at; K
        memory: float  # rows that the level is the mean of, about
        # What differences are measured in: the deviation of the training split, a constant
        # of the graph, or that of the stream so far.
        unit: Literal["constant", "running"]
        layer_dropout: float = 0.0  # between layers
        output_dropout: float = 0.0  # before the predictions
        weight_dropout: float = 0.0  # on recurrent weights, one mask per window
        least_spread: float = 1e-3  # in units
        outlier: float = 100.0  # deviations beyond which a miss teaches nothing more

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            rows = "row" if self.lags == 1 else f"{self.lags} rows"
            read = layers(self.layers, self.cell, self.hidden)
            return f"{read} beside a linear map of the last {rows}"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "Forecaster":
            """A model with fresh weights, for so many columns and rows ahead."""
            del sources
            return Forecaster(self, columns=vocabulary, horizon=labels)

    def __init__(self, config: Config, columns: int, horizon: int) -> None:
        super().__init__()
        self.config, self.columns, self.horizon = config, columns, horizon
        widths = [2 * columns] + [config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(config.cell, width, config.hidden, config.weight_dropout)
            for width in widths
        )
        self.between = LockedDropout(config.layer_dropout)
        self.before_output = LockedDropout(config.output_dropout)
        self.output = nn.Linear(config.hidden, 2 * horizon * columns)
        self.window = nn.Parameter(torch.zeros(config.lags, horizon))  # [K, H]
        self.scales: Tensor
        self.register_buffer("scales", torch.ones(columns))
        # A model that knows nothing says that all stays as it is.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    @property
    def log_spreads(self) -> tuple[float, float]:
        """The least and the most that the logarithm of a spread may be."""
        return math.log(self.config.least_spread), math.log(MOST_SPREAD)

    @property
    def quiet(self) -> int:
        """How many rows of a stream have no score, because too little was seen before."""
        return QUIET_ROWS[self.config.unit]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The states of a row, by name, in their order."""
        config, columns = self.config, self.columns
        cell = {name: (config.layers, config.hidden) for name in STATES[config.cell]}
        running = {"variance": (columns,)} if config.unit == "running" else {}
        return {
            **cell,
            "recent": (config.lags, columns),  # the last rows, the oldest first
            "seen": (1,),  # how many rows were read
            "level": (columns,),
            **running,
            # What was expected of the next row: its value, its spread, and the logarithm
            # of the spread in units.
            "expected": (3, columns),
        }

    def start(self, rows: int) -> State:
        """The state before any row: zeros, [B, *] each."""
        return tuple(self.window.new_zeros(rows, *shape) for shape in self.shapes.values())

    def begin_from(self, vectors: Tensor) -> None:
        """Takes the standard deviations [F] of the training split."""
        self.scales.copy_(vectors)

    def forward(self, features: Tensor, state: State) -> tuple[Forecast, State]:
        """Predicts after every row.

        Args:
            features: [B, T, F].
            state: as in `shapes`, [B, *] each.

        Returns:
            The forecast after each row, and the state after the last.
        """
        known = dict(zip(self.shapes, state, strict=True))
        variance = known.get("variance", torch.zeros_like(known["level"]))
        levels, variances = track(
            features, known["seen"], known["level"], variance, self.config.memory
        )
        unit = self._unit(levels, variances)
        history = torch.cat([known["recent"], features], dim=1)  # [B, K + T, F]
        lags = self._lags(features, history, known["seen"]) / unit.unsqueeze(-1)  # [B, T, F, K]
        read = torch.cat([(features - levels) / unit, lags[..., -1]], dim=2)
        shift, log_spread, ends = self._predict(read, state)
        shift = shift + (lags @ self.window).transpose(2, 3)
        values = features.unsqueeze(2) + unit.unsqueeze(2) * shift
        spread = unit.unsqueeze(2) * log_spread.exp()
        expects = torch.stack([part[:, :, 0] for part in (values, spread, log_spread)], dim=2)
        expected = torch.cat([known["expected"].unsqueeze(1), expects[:, :-1]], dim=1)
        score = self._score(features, expected, known["seen"])
        after = ends | {
            "recent": history[:, -self.config.lags :],
            "seen": known["seen"] + features.shape[1],
            "level": levels[:, -1],
            "variance": variances[:, -1],
            "expected": expects[:, -1],
        }
        return Forecast(values, spread, score, unit), tuple(after[name] for name in self.shapes)

    def loss(self, outputs: Forecast, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean nats of the targets that count, measured in units."""
        del smoothing
        nats, _ = self._nats(outputs, targets)
        return nats.mean()

    def tally(self, outputs: Forecast, targets: Tensor) -> Tensor:
        """Sums over the targets that count: nats, squared errors in units, and how many: [3]."""
        nats, squares = self._nats(outputs, targets)
        count = torch.tensor(nats.numel(), dtype=torch.float64)
        return torch.stack([nats.double().sum(), squares.double().sum(), count])

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The layers, in the order they read."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def _unit(self, levels: Tensor, variances: Tensor) -> Tensor:
        """What each row is measured in: [B, T, F]."""
        if self.config.unit == "constant":
            return self.scales.expand_as(levels)
        # A stream that never moved yet is measured in a small share of its level.
        least = LEAST_SHARE * levels
        return (variances + least * least + LEAST_UNIT**2).sqrt()

    def _lags(self, features: Tensor, history: Tensor, seen: Tensor) -> Tensor:
        """How the rows before each row differed from it, the oldest first: [B, T, F, K].

        Zeros where there was none yet.
        """
        lags, positions = self.config.lags, features.shape[1]
        before = history.unfold(1, lags, 1)[:, :-1]  # [B, T, F, K]
        ages = torch.arange(lags, 0, -1)  # [K]
        read = seen.unsqueeze(2) + torch.arange(positions).view(1, -1, 1)  # [B, T, 1]
        there = (ages <= read).unsqueeze(2)  # [B, T, 1, K]
        return torch.where(there, before - features.unsqueeze(3), 0.0)

    def _predict(self, read: Tensor, state: State) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What the layers make of it, in units.

        Args:
            read: [B, T, 2F].
            state: begins with that of the cells, [B, L, U] each.

        Returns:
            Shifts and logarithms of spreads, [B, T, H, F] each, and the cells' next state.
        """
        names = STATES[self.config.cell]
        x, ends = read.clamp(-FARTHEST, FARTHEST), []
        for index, layer in enumerate(self.recurrent_layers()):
            x = self.between(x) if index else x
            x, end = layer(x, tuple(part[:, index] for part in state[: len(names)]))
            ends.append(end)
        answer = self.output(self.before_output(x)).unflatten(2, (2, self.horizon, self.columns))
        shift, log_spread = answer.unbind(dim=2)
        after = (torch.stack(part, dim=1) for part in zip(*ends, strict=True))
        return shift, log_spread.clamp(*self.log_spreads), dict(zip(names, after, strict=True))

    def _score(self, features: Tensor, expected: Tensor, seen: Tensor) -> Tensor:
        """How many nats each row cost, 0 for the first few of a stream.

        Args:
            features: [B, T, F].
            expected: [B, T, 3, F], what was expected of it.
            seen: [B, 1].

        Returns:
            [B, T, 1], summed over the columns.
        """
        value, spread, log_spread = expected.unbind(dim=2)
        position = torch.arange(features.shape[1]).view(1, -1, 1)
        quiet = seen.unsqueeze(2) + position < self.quiet  # [B, T, 1]
        misses = (features - value) / torch.where(quiet, 1.0, spread)
        misses = misses.clamp(-MOST_SURPRISING, MOST_SURPRISING)
        nats = 0.5 * misses * misses + log_spread + LOG_ROOT
        return torch.where(quiet, 0.0, nats.sum(dim=2, keepdim=True))

    def _nats(self, outputs: Forecast, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Nats and squared errors of the targets that count, in units: [M] each."""
        real = ~targets.isnan()
        unit = outputs.unit.unsqueeze(2)  # [B, T, 1, F]
        errors = ((targets - outputs.values) / unit)[real]
        spread = (outputs.spread / unit)[real]
        misses = (errors / spread).clamp(-self.config.outlier, self.config.outlier)
        return 0.5 * misses.square() + spread.log() + LOG_ROOT, errors.square()
