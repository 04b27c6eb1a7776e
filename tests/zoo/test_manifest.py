"""What a manifest of a forecaster must say, and what is refused."""

from dataclasses import replace

import pytest

from stepwire_zoo import schema
from stepwire_zoo.errors import ManifestInvalid
from stepwire_zoo.manifest import (
    NO_TOKENIZER,
    Graph,
    Limits,
    Manifest,
    Metric,
    Series,
    State,
    Tensor,
)
from support.tiny import generation_manifest, make_manifest

SERIES = Series(columns=("load", "oil"), targets=("oil",), horizon=3)
SHAPES = {"values": (3, 1), "spread": (3, 1), "score": (1,)}


def tensor(role: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name=role, dtype="float32", shape=shape, role=role)


def forecasting_manifest(**fields) -> Manifest:
    graph = Graph(
        file="step.onnx",
        inputs=(tensor("features", (2,)),),
        outputs=tuple(tensor(role, shape) for role, shape in SHAPES.items()),
        states=(State(input="h", output="h_next", dtype="float32", shape=(1, 8)),),
    )
    given = {
        "name": "oil",
        "task": "forecasting",
        "graphs": {"step": graph},
        "series": SERIES,
        "limits": Limits(max_input_tokens=1024),
    }
    return make_manifest(**(given | fields))


def test_a_forecaster_reads_rows_and_needs_no_tokenizer():
    manifest = forecasting_manifest()
    written = schema.write(manifest)

    assert "tokenizer" not in written
    assert written["series"] == {"columns": ["load", "oil"], "targets": ["oil"], "horizon": 3}
    assert schema.read(Manifest, written) == manifest
    assert manifest.tokenizer == NO_TOKENIZER


def test_a_generator_without_a_tokenizer_is_refused():
    written = schema.write(generation_manifest())
    del written["tokenizer"]

    with pytest.raises(ManifestInvalid, match="tokenizer: is missing"):
        schema.read(Manifest, written)


def test_only_a_forecaster_has_a_series():
    with pytest.raises(ValueError, match="series: a forecaster has it, and no other"):
        replace(generation_manifest(), series=SERIES)
    with pytest.raises(ValueError, match="series: a forecaster has it, and no other"):
        forecasting_manifest(series=None)
    with pytest.raises(ValueError, match="tokenizer: none, for rows"):
        forecasting_manifest(tokenizer=generation_manifest().tokenizer)


def test_a_forecaster_needs_a_step_graph():
    with pytest.raises(ValueError, match="task forecasting needs a step graph"):
        forecasting_manifest(graphs={})


@pytest.mark.parametrize("role", ["features", "values", "spread", "score"])
def test_the_tensors_of_a_step_have_the_shapes_of_the_series(role):
    graph = forecasting_manifest().graphs["step"]
    wrong = Graph(
        file=graph.file,
        inputs=tuple(replace(t, shape=(9,)) if t.role == role else t for t in graph.inputs),
        outputs=tuple(t for t in graph.outputs if t.role != role),
    )

    with pytest.raises(ValueError, match=f"one tensor of role {role} and shape"):
        forecasting_manifest(graphs={"step": wrong})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"columns": ()}, "columns must be names, each once"),
        ({"targets": ("oil", "oil")}, "targets must be names, each once"),
        ({"targets": ("rain",)}, "targets must be among the columns, got 'rain'"),
        ({"horizon": 0}, "horizon must be at least 1, got 0"),
    ],
)
def test_a_series_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        replace(SERIES, **fields)


def test_a_figure_may_come_with_those_of_other_seeds():
    spread = Metric(name="loss", value=1.0, unit="nats", split="test", runs=(1.0, 1.5, 0.75))
    manifest = replace(generation_manifest(), metrics=(spread,))
    written = schema.write(manifest)

    assert written["metrics"][0]["runs"] == [1.0, 1.5, 0.75]
    assert schema.read(Manifest, written) == manifest
    del written["metrics"][0]["runs"]  # as bundles were written before
    assert schema.read(Manifest, written).metrics[0].runs == ()


@pytest.mark.parametrize("runs", [[1.0], [1.5, 1.0]])
def test_the_figure_itself_is_the_first_of_several_runs(runs):
    written = schema.write(generation_manifest())
    written["metrics"][0]["runs"] = runs

    with pytest.raises(ManifestInvalid, match=r"metrics\[0\]: runs must be empty, or 1.0 and"):
        schema.read(Manifest, written)
