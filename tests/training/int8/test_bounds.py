"""What is said of the size of numbers holds, and follows from the graph alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from stepwire_training import parity
from stepwire_training.graphs.attend import decode_graph
from stepwire_training.graphs.encode import encode_graph
from stepwire_training.graphs.step import step_graph
from stepwire_training.int8.bounds import bounded_states, bounds
from stepwire_training.int8.opened import Opened
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.translator import Translator
from stepwire_zoo.manifest import State

STATES = {"lstm": ["h", "c"], "gru": ["h"], "rnn": ["h"]}


def step_of(cell: str) -> bytes:
    config = LanguageModel.Config(cell=cell, layers=2, hidden=6, embedding=5)
    return step_graph(config.build(vocabulary=9, labels=0).eval())


def states_of(*names: str) -> list[State]:
    return [State(input=n, output=f"{n}_next", dtype="float32", shape=(2, 6)) for n in names]


def cell_of(*nodes, weights=()) -> bytes:
    """A step that replaces a state h [N, 4] by h_next."""
    shape = ["N", 4]
    graph = helper.make_graph(
        list(nodes),
        "cell",
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("h_next", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    return model.SerializeToString()


@pytest.mark.parametrize("cell", STATES)
def test_the_hidden_state_of_a_cell_stays_below_one_and_an_lstms_memory_does_not(cell):
    opened, states = Opened(step_of(cell)), states_of(*STATES[cell])
    starts = dict.fromkeys(STATES[cell], 0.0)

    assert bounded_states(opened, states, starts, {}) == {"h": 1.0}


def test_a_state_that_begins_outside_has_no_bound():
    opened = Opened(step_of("gru"))

    assert bounded_states(opened, states_of("h"), {"h": 1.5}, {}) == {}
    assert bounded_states(opened, states_of("h"), {}, {}) == {}


def test_a_state_that_no_tanh_holds_has_no_bound():
    relu = cell_of(helper.make_node("Relu", ["h"], ["h_next"]))
    grows = cell_of(helper.make_node("Add", ["h", "h"], ["h_next"]))
    states = states_of("h")

    assert bounded_states(Opened(relu), states, {"h": 0.0}, {}) == {}
    assert bounded_states(Opened(grows), states, {"h": 0.0}, {}) == {}


def test_one_state_without_a_bound_takes_those_with_it_that_read_it():
    nodes = [
        helper.make_node("Relu", ["h"], ["h_next"]),
        helper.make_node("Identity", ["h"], ["g_next"]),
    ]
    opened = Opened(cell_of(*nodes))

    assert bounded_states(opened, states_of("h", "g"), {"h": 0.0, "g": 0.0}, {}) == {}


def test_what_attention_finds_is_no_larger_than_what_it_looks_at():
    config = Translator.Config(
        encoder=Encoder.Config(layers=1, hidden=6, embedding=8), layers=2, hidden=12
    )
    model = config.build(20, 0).eval()
    encoded = bounds(Opened(encode_graph(model)), {})
    opened = Opened(decode_graph(model))
    known = {"memory": encoded["memory"], "h": 1.0}
    found = bounds(opened, known)
    (weights,) = [node.output[0] for node in opened.nodes if node.op_type == "Softmax"]
    (context,) = [node.output[0] for node in opened.nodes if weights in node.input[:1]][:1]

    assert encoded["memory"] == encoded["h_start"] == encoded["c_start"] == 1.0
    assert encoded["keys"] == math.inf  # a product, of which nobody knows
    assert found[context] == found["h_next"] == 1.0


def test_activations_that_somebody_chose_have_no_bound():
    config = Encoder.Config(layers=1, hidden=6, embedding=8)
    model = Translator.Config(encoder=config, layers=1, hidden=12).build(20, 0).eval()
    opened = Opened(encode_graph(model))
    for node in opened.nodes:
        if node.op_type == "LSTM":
            node.attribute.append(helper.make_attribute("activations", ["Relu"] * 3))

    assert bounds(opened, {})["memory"] == math.inf


def test_a_clip_bounds_what_nothing_else_does():
    clipped = cell_of(
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Clip", ["r", "least", "most"], ["h_next"]),
        weights=[("least", -3.0), ("most", 2.0)],
    )
    assert bounds(Opened(clipped), {})["h_next"] == 3.0


@settings(max_examples=25, deadline=None)
@given(
    cell=st.sampled_from(sorted(STATES)),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)
def test_no_number_is_ever_larger_than_its_bound(cell, seed, scale):
    rng = np.random.default_rng(seed)
    opened = Opened(step_of(cell))
    known = {"h": 1.0, "c": scale}
    found = bounds(opened, known)
    feeds = {
        name: rng.uniform(-bound, bound, size=(7, 2, 6)).astype(np.float32)
        for name, bound in known.items()
        if name in STATES[cell]
    }
    outputs = parity.run(parity.session(step_of(cell)), {"token": rng.integers(9, size=7), **feeds})

    for name, value in outputs.items():
        assert np.abs(value).max() <= found[name]
