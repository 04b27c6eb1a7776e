"""Real graphs in ONNX Runtime. The reference is one run for each request, laid out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.engine.tensor_graph import TensorGraph, bucket_of
from stepwire_server.engine.tensors import Asked
from stepwire_server.errors import InternalError, InvalidRequest
from support import foreign
from support.foreign import FEATURES, HIDDEN, LAYERS

LSTM, RAGGED = foreign.lstm(), foreign.lstm(lengths=True)
CLASSIFIER, COUNTER = foreign.classifier(), foreign.counter()
PLAIN = {
    lengths: foreign.open_graph(foreign.lstm_file(lengths=lengths)) for lengths in (False, True)
}


def asked(tensors, rows=1, wanted=("y", "last"), **fields):
    return Asked(tensors=tensors, rows=rows, wanted=wanted, **fields)


def run(graph, *requests, keeps=True):
    works = [graph.prepare(one, keeps=keeps) for one in requests]
    assert len({work.group for work in works}) == 1
    inputs = graph.put_together(works)
    return graph.take_apart(inputs, graph.run(inputs))


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sequences(seed, rows, steps):
    """A request of sequences that go on, and their states as tensors."""
    x = numbers(seed, rows, steps, FEATURES)
    states = {name: numbers(seed + 1, LAYERS, rows, HIDDEN) for name in ("h0", "c0")}
    return x, states


def packed(graph, states):
    rows_first = {name: np.moveaxis(value, 1, 0) for name, value in states.items()}
    return [row.tobytes() for row in graph.layout.pack_rows(rows_first)]


def alone(x, states, lengths=None):
    """What the graph gives for one request, and nothing around it."""
    feeds = {"x": x, **states} | ({} if lengths is None else {"lengths": lengths})
    names = ["y", "last", "hn", "cn"]
    return dict(zip(names, PLAIN[lengths is not None].run(names, feeds), strict=True))


def following(told):
    return {"h0": told["hn"], "c0": told["cn"]}


class Request:
    """One request in a group: how it is asked, and what it must give."""

    def __init__(self, graph, seed, rows, steps, how, wanted):
        x, states = sequences(seed, rows, steps)
        self.how, self.steps = how, steps
        if how == "begins":
            states = {name: np.zeros_like(value) for name, value in states.items()}
        sent = states if how == "explicit" else {}
        self.asked = asked({"x": x, **sent}, rows, wanted)
        if how == "goes on":
            self.asked.states = packed(graph, states)
        lengths = np.full(rows, steps, np.int32) if graph is RAGGED else None
        self.expected = alone(x, states, lengths)

    def check(self, graph, told):
        tensors, states = told
        assert list(tensors) == list(self.asked.wanted)
        for name, value in tensors.items():
            assert value.shape == self.expected[name].shape
            assert (value == self.expected[name]).all()
        if self.how != "explicit":
            assert list(states) == packed(graph, following(self.expected))


HOW = st.sampled_from(["begins", "goes on", "explicit"])
WANTED = st.sampled_from([("y",), ("last", "y"), ("hn", "last"), ("cn", "hn", "y")])
REQUESTS = st.lists(
    st.tuples(st.integers(0, 99), st.integers(1, 5), st.integers(1, 6), HOW, WANTED),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40)
@given(REQUESTS, st.integers(1, 4))
def test_sharing_a_run_changes_no_bit(requests, steps):
    group = [Request(LSTM, seed, n, steps, how, wanted) for seed, n, _, how, wanted in requests]
    for one, told in zip(group, run(LSTM, *(one.asked for one in group)), strict=True):
        one.check(LSTM, told)


@settings(max_examples=40)
@given(REQUESTS, st.sampled_from([(5, 8), (9, 12), (17, 24)]))
def test_requests_of_unequal_length_share_a_run_and_change_no_bit(requests, bucket):
    low, high = bucket
    group = [
        Request(RAGGED, seed, rows, min(low + extra - 1, high), how, wanted)
        for seed, rows, extra, how, wanted in requests
    ]
    for one, told in zip(group, run(RAGGED, *(one.asked for one in group)), strict=True):
        one.check(RAGGED, told)


def test_steps_one_by_one_are_the_chunk():
    x = numbers(3, 2, 5, FEATURES)
    [(whole, after)] = run(LSTM, asked({"x": x}, 2))
    states, steps = None, []
    for step in range(5):
        [(told, states)] = run(LSTM, asked({"x": x[:, step : step + 1]}, 2, states=states))
        steps.append(told["y"])
    assert (np.concatenate(steps, axis=1) == whole["y"]).all()
    assert list(states) == list(after)


def test_a_row_begins_with_the_start_that_the_wiring_names():
    start = numbers(7, LAYERS, HIDDEN)
    graph = foreign.lstm(start=start)
    x = numbers(8, 2, 3, FEATURES)
    [(told, _)] = run(graph, asked({"x": x}, 2))
    zeros = np.zeros((LAYERS, 2, HIDDEN), np.float32)
    cells = np.repeat(start[:, None], 2, axis=1)
    assert (told["y"] == alone(x, {"h0": zeros, "c0": cells})["y"]).all()


def test_a_state_that_is_left_out_is_the_start():
    x, states = sequences(1, 2, 3)
    [(told, _)] = run(LSTM, asked({"x": x, "h0": states["h0"]}, 2, ("y",)), keeps=False)
    expected = alone(x, {**states, "c0": np.zeros_like(states["c0"])})
    assert (told["y"] == expected["y"]).all()


def test_states_of_any_type_are_packed_and_read_again():
    graph, names = foreign.mixed(), ("flags_next", "sum_next", "y")
    two, one = (np.array([values], np.float64) for values in ([0.5, 1.5], [9.0]))
    [(told, states)] = run(graph, asked({"x": two}, 2, names))
    assert told["flags_next"].tolist() == [[False, True, False]] * 2
    new, old = run(graph, asked({"x": one}, 1, names), asked({"x": two}, 2, names, states=states))
    assert old[0]["flags_next"].tolist() == [[True, False, True]] * 2
    assert old[0]["sum_next"].tolist() == [[1.0, 3.0]]
    assert old[0]["y"].tolist() == [42, 42]
    assert (new[0]["sum_next"].tolist(), new[0]["y"].tolist()) == ([[9.0]], [41])
    assert {len(state) for state in (*states, *new[1])} == {3 + 8 + 8}


def group_of(graph, tensors):
    rows = len(next(iter(tensors.values())))
    return graph.prepare(asked(tensors, rows), keeps=False).group


def test_only_what_fits_beside_each_other_is_one_group():
    three, four = numbers(0, 1, 3, FEATURES), numbers(0, 5, 4, FEATURES)
    assert group_of(LSTM, {"x": three}) == group_of(LSTM, {"x": three[[0, 0]]})
    assert group_of(LSTM, {"x": three}) != group_of(LSTM, {"x": four})
    assert group_of(RAGGED, {"x": three}) == group_of(RAGGED, {"x": four})


def test_what_all_rows_share_must_be_equal_in_a_group():
    ids, scale = np.array([[1, 2]]), np.ones(1, np.float32)
    group = group_of(CLASSIFIER, {"ids": ids, "scale": scale})
    assert group == group_of(CLASSIFIER, {"ids": ids + 1, "scale": scale.copy()})
    assert group != group_of(CLASSIFIER, {"ids": ids, "scale": scale + 1})


def test_rows_that_would_change_each_other_share_no_run():
    graph = foreign.lstm(merges=False)
    assert group_of(graph, {"x": numbers(0, 1, 3, FEATURES)}) is None


def test_a_graph_without_rows_runs_one_request():
    request = asked({"x": np.array([1, 2], np.float32)}, wanted=("y",))
    assert COUNTER.prepare(request, keeps=True).group is None
    [(told, states)] = run(COUNTER, request)
    assert told["y"].tolist() == [11, 22]
    request.states = states
    assert run(COUNTER, request)[0][0]["y"].tolist() == [12, 24]


def test_texts_come_out_as_they_travel():
    tensors = {"ids": np.array([[7, 1]]), "scale": np.ones(1, np.float32)}
    [(told, _)] = run(CLASSIFIER, asked(tensors, wanted=("name",)), keeps=False)
    assert told["name"].tolist() == ["wörd 7".encode()]


class TestLengths:
    """The caller may say himself how much of his padded rows counts."""

    def test_rows_that_the_caller_padded_end_where_he_says(self):
        x, states = sequences(4, 2, 7)
        lengths = np.array([3, 7], np.int32)
        tensors = {"x": x, "lengths": lengths}
        [(told, after)] = run(RAGGED, asked(tensors, 2, states=packed(RAGGED, states)))
        short = {name: value[:, :1].copy() for name, value in states.items()}
        expected = alone(x[:1, :3].copy(), short, np.array([3], np.int32))
        assert told["y"].shape == (2, 7, HIDDEN)
        assert (told["y"][0, :3] == expected["y"][0]).all()
        assert after[0] == packed(RAGGED, following(expected))[0]

    @pytest.mark.parametrize("length", [0, -1, 5, 2**31 - 1])
    def test_a_length_outside_the_row_is_refused(self, length):
        tensors = {"x": numbers(0, 2, 4, FEATURES), "lengths": np.array([4, length], np.int32)}
        with pytest.raises(
            InvalidRequest, match=rf"lengths\[1\] must be in \[1, 4\], got {length}"
        ):
            RAGGED.prepare(asked(tensors, 2), keeps=False)

    @given(st.integers(1, 100_000))
    def test_a_bucket_holds_its_lengths_with_little_to_spare(self, steps):
        bucket = bucket_of(steps)
        assert steps <= bucket == bucket_of(bucket)
        assert bucket <= 1.5 * steps or bucket <= 8

    def test_a_single_step_is_not_padded(self):
        assert [bucket_of(steps) for steps in (1, 2, 3, 5, 9, 13)] == [1, 2, 4, 8, 12, 16]


@pytest.mark.parametrize("shape", [(1, 0, FEATURES), (0, 1, FEATURES)])
def test_empty_tensors_never_reach_the_graph(shape):
    # ONNX Runtime ends the process over an LSTM of no rows.
    with pytest.raises(InvalidRequest, match="x must be empty on no axis"):
        LSTM.prepare(asked({"x": np.zeros(shape, np.float32)}, shape[0]), keeps=False)


class TestNotFinite:
    """Numbers that are not finite: outputs are the caller's, states would spoil what comes."""

    def spoilt(self):
        x = numbers(0, 1, 2, FEATURES)
        x[0, 1, 0] = np.nan
        return x

    def test_they_are_given_as_they_are(self):
        [(told, _)] = run(LSTM, asked({"x": self.spoilt()}), keeps=False)
        assert np.isnan(told["y"][0, 1]).any()
        assert np.isfinite(told["y"][0, 0]).all()

    def test_a_state_that_an_input_spoils_fails_its_request_alone(self):
        well = Request(LSTM, 5, 2, 2, "goes on", ("y",))
        bad, good = run(LSTM, asked({"x": self.spoilt()}), well.asked)
        assert isinstance(bad, InvalidRequest)
        assert str(bad) == "x must be finite, got a number that is not"
        well.check(LSTM, good)

    def test_a_state_that_spoils_itself_is_our_own_mistake(self):
        huge = np.full((2,), 3e38, np.float32)
        [told] = run(COUNTER, asked({"x": huge}, wanted=("y",), states=[huge.tobytes()]))
        assert isinstance(told, InternalError)

    def test_a_part_that_starts_infinite_may_stay_so(self):
        start = np.full((LAYERS, HIDDEN), np.inf, np.float32)
        graph = foreign.lstm(start=start)
        spoiled = graph._states.spoiled(
            {"hn": np.zeros((LAYERS, 1, HIDDEN)), "cn": np.repeat(start[:, None], 1, 1)}
        )
        assert spoiled == set()


def test_an_output_with_too_few_rows_is_an_error_and_not_a_wrong_answer():
    wiring = foreign.lstm_wiring()
    graph = TensorGraph(PLAIN[False], wiring)
    inputs = graph.put_together(
        [graph.prepare(asked({"x": numbers(0, 3, 2, FEATURES)}, 3), keeps=False)]
    )
    outputs = {name: value[:2] for name, value in graph.run(inputs).items()}
    with pytest.raises(InternalError, match=r"y the shape \[2, 2, 8\]: axis 0 should have 3 rows"):
        graph.take_apart(inputs, outputs)
