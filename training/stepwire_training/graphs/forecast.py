"""One step of a forecaster as a graph.

N rows, F columns, K rows remembered, L layers, U hidden units, H rows ahead. The order of
the sums is that of the model, so that both round alike.
"""

from typing import NamedTuple

import numpy as np

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import CELLS, Names, join_state, product, split_state
from stepwire_training.models import forecaster
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.models.recurrent import STATES


class _Known(NamedTuple):
    """What a step begins with."""

    x: str  # [N, F] the row
    states: dict[str, str]  # [N, *] those beside the cells'


def forecast_graph(model: Forecaster) -> bytes:
    """The file step.onnx: features [N, F] and states to values, spread, score, next states."""
    graph = GraphBuilder("step")
    columns, horizon = model.columns, model.horizon
    known = _Known(
        graph.input("features", np.float32, ["N", columns]),
        {
            name: graph.input(name, np.float32, ["N", *shape])
            for name, shape in model.shapes.items()
            if name not in STATES[model.config.cell]
        },
    )
    graph.output("score", _score(graph, model, known), ["N", 1])
    level, unit = _level(graph, model, known)
    lags = _lags(graph, model, known, unit)  # [N, F, K]
    distance = graph.op("Div", graph.op("Sub", known.x, level), unit)
    newest = graph.weight("newest", np.array(model.config.lags - 1))
    newest = graph.node("Gather", [lags, newest], axis=2)  # [N, F]
    read = graph.node("Concat", [distance, newest], axis=1)
    shift, log_spread = _predict(graph, model, _clipped(graph, read, forecaster.FARTHEST))
    of_window = graph.op("MatMul", lags, graph.weight("window", model.window))  # [N, F, H]
    shift = graph.op("Add", shift, graph.node("Transpose", [of_window], perm=[0, 2, 1]))
    across = graph.shaped(unit, 1, columns)
    row = graph.shaped(known.x, 1, columns)
    values = graph.op("Add", row, graph.op("Mul", across, shift))
    spread = graph.op("Mul", across, graph.op("Exp", log_spread))
    graph.output("values", values, ["N", horizon, columns])
    graph.output("spread", spread, ["N", horizon, columns])
    first = graph.integers("first", 0)
    expected = [graph.node("Gather", [x, first], axis=1) for x in (values, spread, log_spread)]
    _replace(graph, model, "expected", graph.node("Concat", expected, axis=1))
    return graph.build()


def _score(graph: GraphBuilder, model: Forecaster, known: _Known) -> str:
    """What the row cost, given what was expected of it: [N, 1]."""
    zero = graph.number(0.0)
    flat = graph.shaped(known.states["expected"], 3 * model.columns)
    value, spread, log_spread = graph.nodes("Split", [flat], 3, axis=1, num_outputs=3)
    quiet = graph.op("Less", known.states["seen"], graph.number(float(model.quiet)))  # [N, 1]
    spread = graph.op("Where", quiet, graph.number(1.0), spread)
    misses = graph.op("Div", graph.op("Sub", known.x, value), spread)
    misses = _clipped(graph, misses, forecaster.MOST_SURPRISING)
    squares = graph.op("Mul", graph.op("Mul", graph.number(0.5), misses), misses)
    nats = graph.op("Add", graph.op("Add", squares, log_spread), graph.number(forecaster.LOG_ROOT))
    # A product and not a sum: ONNX Runtime sums a row that is alone in another order.
    ones = graph.weight("ones", np.ones((model.columns, 1), np.float32))
    return graph.op("Where", quiet, zero, graph.op("MatMul", nats, ones))


def _level(graph: GraphBuilder, model: Forecaster, known: _Known) -> tuple[str, str]:
    """The running mean, and what the row is measured in: [N, F] each."""
    op, number, states = graph.op, graph.number, known.states
    read = op("Add", states["seen"], number(1.0))
    share = op("Max", op("Div", number(1.0), read), number(1.0 / model.config.memory))
    offset = op("Sub", known.x, states["level"])
    level = op("Add", states["level"], op("Mul", share, offset))
    _replace(graph, model, "seen", read)
    _replace(graph, model, "level", level)
    if model.config.unit == "constant":
        constant = graph.weight("scales", model.scales)
        return level, op("Expand", constant, op("Shape", known.x))
    grown = op("Add", states["variance"], op("Mul", op("Mul", share, offset), offset))
    variance = op("Mul", op("Sub", number(1.0), share), grown)
    _replace(graph, model, "variance", variance)
    least = op("Mul", number(forecaster.LEAST_SHARE), level)
    total = op(
        "Add", op("Add", variance, op("Mul", least, least)), number(forecaster.LEAST_UNIT**2)
    )
    return level, op("Sqrt", total)


def _lags(graph: GraphBuilder, model: Forecaster, known: _Known, unit: str) -> str:
    """How the rows before differed from this one, in units, zeros before the first: [N, F, K]."""
    lags, columns = model.config.lags, model.columns
    recent, row = known.states["recent"], graph.shaped(known.x, 1, columns)
    ages = graph.weight("ages", np.arange(lags, 0, -1).astype(np.float32))
    there = graph.shaped(graph.op("LessOrEqual", ages, known.states["seen"]), lags, 1)
    apart = graph.op("Where", there, graph.op("Sub", recent, row), graph.number(0.0))
    bounds = [graph.integers(f"kept_{n}", value) for n, value in enumerate((1, lags + 1, 1))]
    kept = graph.op("Slice", recent, *bounds)  # all but the oldest
    _replace(graph, model, "recent", graph.node("Concat", [kept, row], axis=1))
    turned = graph.node("Transpose", [apart], perm=[0, 2, 1])
    return graph.op("Div", turned, graph.shaped(unit, columns, 1))


def _predict(graph: GraphBuilder, model: Forecaster, x: str) -> Names:
    """What the layers make of their inputs [N, 2F]: shifts and log spreads, [N, H, F] each."""
    config, names = model.config, STATES[model.config.cell]
    size = (config.layers, config.hidden)
    states = [split_state(graph, name, size) for name in names]  # [state][layer]
    ends: list[Names] = []
    for index, layer in enumerate(model.recurrent_layers()):
        inputs = [x, *(state[index] for state in states)]
        ends.append(CELLS[config.cell](graph, f"layer{index}", layer, inputs))
        x = ends[-1][0]
    for name, parts in zip(names, zip(*ends, strict=True), strict=True):
        join_state(graph, f"{name}_next", list(parts), size)
    flat = product(graph, "output", x, model.output.weight, model.output.bias)
    shift, log_spread = graph.nodes("Split", [flat], 2, axis=1, num_outputs=2)
    bounds = (graph.number(bound) for bound in model.log_spreads)
    bounded = graph.op("Clip", log_spread, *bounds)
    return [graph.shaped(part, model.horizon, model.columns) for part in (shift, bounded)]


def _clipped(graph: GraphBuilder, x: str, most: float) -> str:
    return graph.op("Clip", x, graph.number(-most), graph.number(most))


def _replace(graph: GraphBuilder, model: Forecaster, state: str, value: str) -> None:
    """Declares what a state is replaced by."""
    graph.output(f"{state}_next", value, ["N", *model.shapes[state]])
