import contextlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwire_server.registry.dropin.settings import Settings, StateSettings
from stepwire_zoo.errors import BundleError, FileMismatch, ManifestInvalid, WiringUnproved
from support import dropins
from support.dropins import CLASSES, FEATURES, HIDDEN


def wires_of(proved):
    """Name, batch axis and time axis of everything but states."""
    wiring = proved.wiring
    return {w.name: (w.batch_axis, w.time_axis) for w in (*wiring.inputs, *wiring.outputs)}


def states_of(proved):
    return {pair.input.name: pair.output.name for pair in proved.wiring.states}


def said_of(proved, name):
    return " ".join(r.words for r in proved.inspected.reasons if r.about == name)


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_an_exported_lstm_is_found_out(opened, dynamo, layers):
    if dynamo and layers > 1:
        pytest.skip("the exporter itself fails")
    proved = opened(dropins.lstm(dynamo=dynamo, layers=layers))
    assert wires_of(proved) == {"x": (0, 1), "y": (0, 1)}
    assert states_of(proved) == {"h": "hn", "c": "cn"}
    assert [pair.input.shape for pair in proved.wiring.states] == [(layers, -1, HIDDEN)] * 2
    assert [pair.input.batch_axis for pair in proved.wiring.states] == [1, 1]
    assert proved.wiring.merges


def test_time_first_and_two_layers(opened):
    proved = opened(dropins.gru_time_first())
    assert wires_of(proved) == {"x": (1, 0), "y": (1, 0)}
    assert states_of(proved) == {"h0": "hn"}


@pytest.mark.parametrize(
    "names",
    [
        ("x", "a", "b", "out", "z", "y"),  # sorted, the outputs are the other way round
        ("x", "c", "h", "y", "hn", "cn"),  # h and c swapped by whoever named them
        ("input_1:0", "state_h_in:0", "state_c_in:0", "dense/out:0", "lstm:2", "lstm:1"),
    ],
)
def test_an_operator_says_which_state_is_which_whatever_they_are_called(opened, names):
    proved = opened(dropins.lstm(names=names))
    assert states_of(proved) == {names[1]: names[4], names[2]: names[5]}
    assert "LSTM" in said_of(proved, names[1])


def test_a_loop_says_which_state_is_which(opened):
    proved = opened(dropins.loop_by_hand())
    assert states_of(proved) == {"a": "z", "b": "y"}
    assert "Loop" in said_of(proved, "a")


def test_where_nothing_says_it_steps_and_chunk_decide(opened):
    proved = opened(dropins.lstm_behind_scales())
    assert states_of(proved) == {"a": "t", "b": "s"}
    assert "as a chunk" in said_of(proved, "b")


def test_names_say_it_where_no_operator_does(opened):
    proved = opened(dropins.step_by_hand(("x", "h", "c", "logits", "h_next", "c_next")))
    assert states_of(proved) == {"h": "h_next", "c": "c_next"}


@pytest.mark.parametrize("dynamo", [False, True])
def test_what_nothing_decides_is_asked_by_name(opened, dynamo):
    with pytest.raises(WiringUnproved, match=r"states: does z or y take the place of a"):
        opened(dropins.step_by_hand(dynamo=dynamo))


def test_an_answer_in_the_settings_is_taken(opened):
    states = (StateSettings(input="a", output="z"), StateSettings(input="b", output="y"))
    proved = opened(dropins.step_by_hand(), Settings(states=states))
    assert states_of(proved) == {"a": "z", "b": "y"}


def test_a_wrong_answer_is_refused_where_running_tells(opened):
    states = (StateSettings(input="a", output="y"), StateSettings(input="b", output="z"))
    with pytest.raises(WiringUnproved, match="do not go on from run to run"):
        opened(dropins.loop_by_hand(), Settings(states=states))
    with pytest.raises(WiringUnproved, match=r"out are no state: it is \[3, 8\] before"):
        opened(dropins.step_by_hand(), Settings(states=(StateSettings(input="x", output="out"),)))


def test_states_read_both_ways_are_left_to_the_caller(opened):
    proved = opened(dropins.bidirectional_tagger())
    assert states_of(proved) == {}
    assert {w.name for w in proved.wiring.inputs} == {"x", "h", "c"}
    assert "not kept between runs" in said_of(proved, "h")


def test_a_cache_that_grows_is_left_to_the_caller(opened):
    for dynamo in (False, True):
        proved = opened(dropins.cached_attention(dynamo=dynamo))
        assert states_of(proved) == {}
        assert "longer each time" in said_of(proved, "past_key")
        assert proved.inspected.ranges == {"token": dropins.WORDS}


def test_a_buffer_and_a_counter_are_states(opened):
    proved = opened(dropins.ring_buffer())
    assert states_of(proved) == {"count_in": "count_out", "p": "q"}
    assert [pair.input.dtype for pair in proved.wiring.states] == ["int64", "float32"]
    assert "keeps a part" in said_of(proved, "p")


def test_lengths_are_found_by_who_reads_them(opened):
    proved = opened(dropins.lstm_with_lengths())
    assert proved.wiring.lengths == "valid"
    assert wires_of(proved) == {"x": (1, 0), "valid": (0, None), "y": (2, 0)}
    assert states_of(proved) == {"start_a": "end_a", "start_b": "end_b"}
    assert opened(dropins.packed_classifier()).wiring.lengths == "lengths"


def test_what_only_looks_like_lengths_is_an_ordinary_input(opened):
    data = dropins.scaled_by_length()
    proved = opened(data)
    assert proved.wiring.lengths is None
    assert "ordinary input" in said_of(proved, "lengths")
    with pytest.raises(WiringUnproved, match="lengths cannot be lengths"):
        opened(data, Settings(lengths="lengths"))


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_graph_without_states_is_stateless(opened, dynamo):
    proved = opened(dropins.perceptron(dynamo=dynamo))
    assert proved.wiring.states == ()
    assert wires_of(proved) == {"x": (0, None), "y": (0, None)}
    assert proved.wiring.outputs[0].shape == (-1, CLASSES)
    assert opened(dropins.classifier(dynamo=dynamo)).inspected.ranges == {"tokens": dropins.WORDS}


def test_a_batch_that_is_fixed_is_not_merged(opened):
    proved = opened(dropins.fixed_batch_of_one())
    assert not proved.wiring.batched
    assert proved.wiring.inputs[0].shape == (1, 1, FEATURES)
    assert states_of(proved) == {"h": "hn", "c": "cn"}
    assert "fixed in the file" in said_of(proved, "")


def test_a_start_for_one_row_fixes_the_batch_whatever_the_file_says(opened):
    proved = opened(dropins.baked_start())
    assert proved.wiring.inputs[0].shape == (-1, 1, FEATURES)
    assert "it only runs with 1" in said_of(proved, "")


def test_a_length_that_the_exporter_froze_is_found(opened):
    proved = opened(dropins.gru_frozen_length())
    assert proved.wiring.inputs[0].shape == (3, -1, FEATURES)
    assert "it only runs with 3" in said_of(proved, "")
    assert states_of(proved) == {"h0": "hn"}


def test_rows_that_are_mixed_are_no_rows(opened):
    proved = opened(dropins.mixes_rows())
    assert not proved.wiring.batched
    with pytest.raises(WiringUnproved, match="batch_axis of x cannot be 0: one row changes y"):
        opened(dropins.mixes_rows(), Settings(batch_axis={"x": 0}))


@pytest.mark.parametrize("data", [dropins.names_rows_by_number(), dropins.divides_by_rows()])
def test_rows_that_know_of_each_other_are_no_rows(opened, data):
    assert not opened(data).wiring.batched


def test_rows_that_are_only_nearly_the_same_do_not_merge_unless_told(opened, tmp_path):
    data = dropins.quantized(tmp_path)
    exact = opened(data)
    assert not exact.wiring.merges
    assert states_of(exact) == {"h": "hn", "c": "cn"}
    assert any("differ by up to" in claim.about for claim in exact.claims)
    assert opened(data, Settings(merge="always")).wiring.merges
    assert not opened(dropins.lstm(), Settings(merge="never")).wiring.merges


def test_the_axis_that_settings_give_is_proved_as_well(opened):
    with pytest.raises(WiringUnproved, match="batch_axis of x cannot be 1"):
        opened(dropins.lstm(), Settings(batch_axis={"x": 1}))
    with pytest.raises(WiringUnproved, match="time_axis of x cannot be 0"):
        opened(dropins.lstm(), Settings(time_axis={"x": 0}))


@pytest.mark.parametrize(
    "settings",
    [
        Settings(lengths="nope"),
        Settings(batch_axis={"nope": 0}),
        Settings(labels={"nope": ("a",)}),
        Settings(states=(StateSettings(input="h", output="nope"),)),
    ],
)
def test_settings_that_name_other_tensors_are_refused(opened, settings):
    with pytest.raises(ManifestInvalid, match=r"must be one of .*, got 'nope'"):
        opened(dropins.lstm(), settings)


@pytest.mark.parametrize("data", [b"", b"hello", dropins.perceptron()[:-50]])
def test_what_is_no_onnx_file_is_refused(opened, data):
    with pytest.raises(FileMismatch):
        opened(data)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(places=st.lists(st.integers(0, 900), min_size=1, max_size=4), byte=st.integers(0, 255))
def test_a_file_that_was_damaged_is_refused_or_understood(opened, places, byte):
    data = bytearray(dropins.ring_buffer())
    for place in places:
        data[place % len(data)] = byte
    with contextlib.suppress(BundleError):
        opened(bytes(data), most=4)


def test_what_is_no_tensor_is_refused_by_name(opened):
    with pytest.raises(FileMismatch, match=r"input x must be a tensor of .*, got"):
        opened(dropins.takes_a_sequence())


NAMES = st.lists(
    st.text(st.sampled_from("hcabxyzn01_"), min_size=1, max_size=4),
    min_size=6,
    max_size=6,
    unique=True,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=NAMES, swapped=st.booleans())
def test_no_name_and_no_order_changes_which_state_is_which(opened, names, swapped):
    x, h, c, y, h_next, c_next = names
    proved = opened(dropins.lstm_by_any_name(names, swapped=swapped), most=4)
    assert states_of(proved) == {h: h_next, c: c_next}
    assert wires_of(proved) == {x: (1, 0), y: (2, 0)}


def test_a_found_wiring_steps_as_pytorch_does(opened):
    proved = opened(dropins.lstm(names=("x", "a", "b", "out", "z", "y")))
    module = dropins.LstmTagger(batch_first=True)
    x = torch.randn(3, 6, FEATURES)
    with torch.no_grad():
        wanted, _, _ = module(x, *dropins.zero_states(3))
    states = {p.input.name: np.zeros((1, 3, HIDDEN), np.float32) for p in proved.wiring.states}
    names = ["out", *(p.output.name for p in proved.wiring.states)]
    for step in range(6):
        feeds = {"x": np.ascontiguousarray(x[:, step : step + 1].numpy()), **states}
        out, *following = proved.graph.run(names, feeds)
        states = dict(zip(states, following, strict=True))
        np.testing.assert_allclose(out[:, 0], wanted[:, step], atol=1e-5)
