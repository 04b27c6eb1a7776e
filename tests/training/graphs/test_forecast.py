"""The graph of a forecaster against PyTorch, and what it must not hold."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch

from stepwire_training import parity
from stepwire_training.graphs.forecast import forecast_graph
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.prove_series import series_case, steps


def model_of(unit: str, columns: int = 3, lags: int = 4, cell: str = "lstm") -> Forecaster:
    config = Forecaster.Config(
        cell=cell, layers=2, hidden=8, lags=lags, memory=20.0, unit=unit, output_dropout=0.5
    )
    model = config.build(columns, 5).eval()
    for weight in (model.output.weight, model.output.bias, model.window):
        torch.nn.init.normal_(weight, std=0.2)
    model.begin_from(torch.rand(columns) + 0.5)
    return model


@pytest.mark.parametrize("unit", ["constant", "running"])
@pytest.mark.parametrize(
    ("columns", "lags", "cell"), [(1, 1, "gru"), (3, 4, "lstm"), (7, 9, "rnn")]
)
def test_it_computes_step_by_step_what_pytorch_does_at_once(unit, columns, lags, cell):
    model = model_of(unit, columns, lags, cell)
    places = np.array([0.0, 50.0, 1e4, -3.0])[:, None, None]
    sizes = np.array([1.0, 100.0, 1e3, 0.01])[:, None, None]
    noise = np.random.default_rng(0).normal(size=(4, 40, columns)).cumsum(axis=1)
    rows = (places + sizes * noise).astype(np.float32)
    case = series_case(model, rows)
    starts = {name: np.zeros((4, *shape), np.float32) for name, shape in model.shapes.items()}

    graph = parity.session(forecast_graph(model))
    got, last = steps(graph, rows, starts)
    for name, wanted in case.outputs.items():
        np.testing.assert_allclose(got[name], wanted, atol=1e-4, rtol=1e-4)
    parity.prove_rows_stand_alone(graph, {"features": rows[:, -1], **last})


def test_every_tensor_has_the_batch_in_front():
    model = model_of("running")
    graph = parity.session(forecast_graph(model))
    inputs = {tensor.name: tensor.shape for tensor in graph.get_inputs()}
    outputs = {tensor.name: tensor.shape for tensor in graph.get_outputs()}

    assert inputs == {
        "features": ["N", 3],
        **{name: ["N", *shape] for name, shape in model.shapes.items()},
    }
    assert outputs == {
        "values": ["N", 5, 3],
        "spread": ["N", 5, 3],
        "score": ["N", 1],
        **{f"{name}_next": ["N", *shape] for name, shape in model.shapes.items()},
    }


def test_it_holds_no_sum_that_looks_at_the_size_of_the_batch():
    nodes = Counter(
        node.op_type
        for node in onnx.load_from_string(forecast_graph(model_of("running"))).graph.node
    )

    assert not nodes.keys() & {"ReduceSum", "ReduceMean", "Dropout", "RandomUniform", "Loop", "If"}
