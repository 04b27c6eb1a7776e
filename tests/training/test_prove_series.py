"""No parity, no bundle: each way a forecaster's graph may differ is found out."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from stepwire_training.data.observed import Observed
from stepwire_training.graphs.forecast import forecast_graph
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.parity import ParityError
from stepwire_training.prove_series import golden_rows, prove_steps, series_case

OBSERVED = Observed(
    columns=("load", "oil"),
    horizon=3,
    means=np.array([100.0, -5.0], np.float32),
    scales=np.array([10.0, 0.5], np.float32),
    season=24,
)


@pytest.fixture(scope="module")
def model():
    config = Forecaster.Config(
        cell="lstm", layers=1, hidden=8, lags=4, memory=20.0, unit="constant"
    )
    model = config.build(2, 3).eval()
    for weight in (model.output.weight, model.window):
        torch.nn.init.normal_(weight, std=0.2)
    return model


@pytest.fixture(scope="module")
def case(model):
    return series_case(model, golden_rows(OBSERVED))


def test_a_faithful_graph_passes(model, case):
    assert prove_steps(forecast_graph(model), model, case) < 1e-5


@pytest.mark.parametrize("weight", ["output_bias", "window", "scales"])
def test_a_graph_with_a_changed_weight_is_refused(model, case, weight):
    graph = onnx.load_from_string(forecast_graph(model))
    part = next(part for part in graph.graph.initializer if part.name == weight)
    part.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(part) + np.float32(0.01), weight))

    with pytest.raises(ParityError, match="the graph step by step"):
        prove_steps(graph.SerializeToString(), model, case)


def test_a_model_that_forgets_between_chunks_is_refused(model, case, monkeypatch):
    whole = Forecaster.forward
    forgetful = lambda self, rows, state: whole(self, rows, self.start(len(rows)))  # noqa: E731
    monkeypatch.setattr(Forecaster, "forward", forgetful)

    with pytest.raises(ParityError, match="PyTorch in chunks"):
        prove_steps(forecast_graph(model), model, case)


def test_golden_rows_are_made_up_about_the_means_of_the_series():
    rows = golden_rows(OBSERVED)

    assert rows.shape == (4, 64, 2)
    assert np.array_equal(rows, golden_rows(OBSERVED))
    offsets = np.abs(rows.mean(axis=(0, 1)) - OBSERVED.means) / OBSERVED.scales
    assert np.all(offsets < 3)
