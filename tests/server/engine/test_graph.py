from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from stepwire_server.config import RuntimeConfig
from stepwire_server.engine.graph import Graph, StepGraph
from stepwire_server.engine.runtime import check_provider
from stepwire_server.errors import StartupError
from stepwire_zoo.errors import FileMismatch, ManifestInvalid
from stepwire_zoo.manifest import State
from support.tiny import TinyCell, generation_manifest, onnx_file

SPEC = generation_manifest().graphs["step"]


def load(data, spec=SPEC):
    return Graph(data, spec, RuntimeConfig())


def test_it_computes_what_numpy_computes():
    cell = TinyCell()
    step = StepGraph(load(cell.graph()), SPEC)
    tokens = np.array([[3, 4, 5], [1, 1, 2]])
    states = {name: np.repeat(value[None], 2, 0) for name, value in step.start.items()}
    for position in range(3):
        logits, states, _ = step.step(tokens[:, position], states)
    np.testing.assert_allclose(logits, cell.run(tokens)[:, -1], atol=1e-5)


def test_states_are_paired_as_declared_and_never_by_order():
    swapped = (
        State(input="h", output="c_next", dtype="float32", shape=(8,)),
        State(input="c", output="h_next", dtype="float32", shape=(8,)),
    )
    spec = replace(SPEC, states=swapped)
    _, states, _ = StepGraph(load(TinyCell().graph(), spec), spec).step(
        np.array([1]), {"h": np.ones((1, 8), np.float32), "c": np.zeros((1, 8), np.float32)}
    )
    _, honest, _ = StepGraph(load(TinyCell().graph()), SPEC).step(
        np.array([1]), {"h": np.ones((1, 8), np.float32), "c": np.zeros((1, 8), np.float32)}
    )
    np.testing.assert_array_equal(states["h"], honest["c"])
    np.testing.assert_array_equal(states["c"], honest["h"])


def with_external_data(where):
    """A graph that wants a weight from a file of the machine."""
    model = onnx.load_model_from_string(TinyCell().graph())
    tensor = TensorProto(name="stolen", dims=[1], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/hostname")
    if where == "weights":
        model.graph.initializer.append(tensor)
    else:
        inner = helper.make_graph(
            [helper.make_node("Constant", [], ["y"], value=tensor)], "inner", [], []
        )
        model.graph.node.append(
            helper.make_node("If", ["h"], ["z"], then_branch=inner, else_branch=inner)
        )
    return model.SerializeToString()


@pytest.mark.parametrize("where", ["weights", "a branch"])
def test_a_graph_that_reads_other_files_is_refused(where):
    with pytest.raises(FileMismatch, match="keeps tensor 'stolen' outside itself"):
        load(with_external_data(where))


@pytest.mark.parametrize("data", [b"", b"\x00", b"no graph at all", TinyCell().graph()[:200]])
def test_what_is_no_whole_onnx_file_is_refused(data):
    with pytest.raises(FileMismatch, match=r"step\.onnx"):
        load(data)


def test_an_operator_that_does_not_exist_is_refused():
    data = onnx_file(
        [helper.make_node("Conjure", ["token"], ["logits"])],
        {},
        {"token": (TensorProto.INT64, ["N"])},
        {"logits": (TensorProto.FLOAT, ["N", 28])},
    )
    with pytest.raises(FileMismatch, match="Conjure"):
        load(data, replace(SPEC, states=()))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (replace(SPEC, states=()), "has inputs"),
        (
            replace(SPEC, states=(replace(SPEC.states[0], shape=(9,)), SPEC.states[1])),
            r"the manifest says float32 \[N, 9\]",
        ),
        (
            replace(SPEC, inputs=(replace(SPEC.inputs[0], dtype="int32"),)),
            r"the manifest says int32 \[N, \]",
        ),
        (
            replace(SPEC, outputs=(replace(SPEC.outputs[0], name="scores"),)),
            "has outputs",
        ),
    ],
)
def test_a_manifest_that_describes_another_graph_is_refused(spec, message):
    with pytest.raises(ManifestInvalid, match=message):
        load(TinyCell().graph(), spec)


def test_a_provider_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(StartupError, match=r"provider 'cuda' is not there.*CPUExecutionProvider"):
        check_provider("cuda")
