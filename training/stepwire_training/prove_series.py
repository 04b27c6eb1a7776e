"""Proves the step graph of a forecaster, on rows made up for it.

N rows of a batch, T positions, F columns. The rows of a golden case are no rows of a data
set: they wander about the means of the series at several scales, and jump once.
"""

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from stepwire_training import parity
from stepwire_training.data.batches import Dataset
from stepwire_training.data.observed import Observed, Rows
from stepwire_training.graphs.described import carried
from stepwire_training.graphs.forecast import forecast_graph
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.models.network import Network
from stepwire_training.proved import GOLDEN, Proved
from stepwire_training.recipe import Recipe
from stepwire_zoo.golden import Arrays, GoldenCase
from stepwire_zoo.manifest import Graph, Series, Tensor

GOLDEN_ROWS = 4
GOLDEN_POSITIONS = 64
OUTPUTS = ("values", "spread", "score")


def prove_series(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """A step graph that reads rows of features.

    Raises:
        ParityError: the graph does not compute what the model computes.
    """
    del recipe
    assert isinstance(model, Forecaster)
    assert dataset.series is not None
    content = forecast_graph(model)
    case = series_case(model, golden_rows(dataset.series))
    return Proved(
        graphs={"step": _described(model, series_of(dataset.series))},
        contents={"step": content},
        cases={"step": case},
        difference=prove_steps(content, model, case),
    )


def series_of(observed: Observed) -> Series:
    """What the manifest says of a series; every column is predicted."""
    return Series(columns=observed.columns, targets=observed.columns, horizon=observed.horizon)


def golden_rows(observed: Observed) -> Rows:
    """Rows made up to look like a series: [GOLDEN_ROWS, GOLDEN_POSITIONS, F]."""
    rng = np.random.default_rng(0)
    columns = len(observed.columns)
    noise = rng.normal(size=(GOLDEN_ROWS, GOLDEN_POSITIONS, columns)).cumsum(axis=1)
    turns = np.arange(GOLDEN_POSITIONS) / max(2, observed.season)
    cycle = np.sin(2.0 * np.pi * turns)[None, :, None]
    jump = 8.0 * (np.arange(GOLDEN_POSITIONS) == GOLDEN_POSITIONS // 2)[None, :, None]
    sizes = np.array([1.0, 0.1, 3.0, 0.3])[:, None, None]
    shape = sizes * (0.2 * noise + cycle + jump)
    return (observed.means + observed.scales * shape).astype(np.float32)


def series_case(model: Forecaster, rows: Rows) -> GoldenCase:
    """What PyTorch answers when it reads rows [N, T, F] as whole series."""
    with torch.inference_mode():
        forecast, _ = model(torch.from_numpy(rows), model.start(len(rows)))
    return GoldenCase(
        {"features": rows}, {name: getattr(forecast, name).numpy() for name in OUTPUTS}
    )


def prove_steps(graph: bytes, model: Forecaster, case: GoldenCase) -> float:
    """Proves a step graph; the answer is the largest difference, as a share of 1 + the value.

    Raises:
        ParityError: chunks do not equal the whole, the graph does not equal PyTorch, or a
            row depends on its neighbours.
    """
    rows = case.inputs["features"]
    chunked = _in_chunks(model, rows)
    opened = parity.session(graph)
    starts = {
        name: np.zeros((len(rows), *shape), np.float32) for name, shape in model.shapes.items()
    }
    got, last = steps(opened, rows, starts)
    for name, wanted in case.outputs.items():
        parity.compare(f"PyTorch in chunks: {name}", chunked[name], wanted, GOLDEN)
        parity.compare(f"the graph step by step: {name}", got[name], wanted, GOLDEN)
    parity.prove_rows_stand_alone(opened, {"features": rows[:, -1], **last})
    fresh = {"features": rows[:, 0], **starts}
    parity.prove_rows_stand_alone(opened, fresh)
    return max(_apart(got[name], wanted) for name, wanted in case.outputs.items())


def steps(graph: ort.InferenceSession, rows: Rows, states: Arrays) -> tuple[Arrays, Arrays]:
    """Runs a step graph over rows [N, T, F]; answers outputs [N, T, *] and the last states."""
    said: dict[str, list[NDArray[np.float32]]] = {name: [] for name in OUTPUTS}
    for position in range(rows.shape[1]):
        outputs = parity.run(graph, {"features": rows[:, position], **states})
        states = {name: outputs[f"{name}_next"] for name in states}
        for name in OUTPUTS:
            said[name].append(outputs[name])
    return {name: np.stack(parts, axis=1) for name, parts in said.items()}, states


def _in_chunks(model: Forecaster, rows: Rows) -> Arrays:
    """What PyTorch answers to rows read in three chunks that carry their state."""
    state, pieces = model.start(len(rows)), []
    with torch.inference_mode():
        for chunk in torch.from_numpy(rows).tensor_split(3, dim=1):
            forecast, state = model(chunk, state)
            pieces.append(forecast)
    return {
        name: torch.cat([getattr(piece, name) for piece in pieces], dim=1).numpy()
        for name in OUTPUTS
    }


def _described(model: Forecaster, series: Series) -> Graph:
    """What the manifest says of the step graph."""
    tensors = {
        role: Tensor(name=role, dtype="float32", shape=shape, role=role)
        for role, shape in series.shapes.items()
    }
    return Graph(
        file="step.onnx",
        inputs=(tensors["features"],),
        outputs=tuple(tensors[name] for name in OUTPUTS),
        states=tuple(carried(name, shape) for name, shape in model.shapes.items()),
    )


def _apart(got: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float((np.abs(got - wanted) / (1.0 + np.abs(wanted))).max())
