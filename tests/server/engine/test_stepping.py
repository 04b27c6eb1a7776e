"""Sessions inside the running batch: inputs in, what each gives and the state after them out."""

import numpy as np
import pytest

from stepwire_server.decoding.options import Options
from stepwire_server.engine.batch import Stepped
from stepwire_server.engine.job import Job, Kind
from stepwire_server.engine.layout import Layout
from stepwire_server.errors import InternalError
from support.tiny import TinyCell

from .fakes import Caller, HandEngine, a_job
from .test_searching import greedy, search

LAYOUT = Layout.like(TinyCell().start)


def steps(caller, inputs, packed=b"", **fields):
    """A job that steps a session."""
    options = Options(max_tokens=1)
    return Job(list(inputs), options, caller, kind=Kind.STEP, packed=packed, **fields)


def plainly(inputs, state=None, cell=None):
    """The same, one row and one step at a time."""
    cell = cell or TinyCell()
    state = {name: value[None] for name, value in (state or cell.start).items()}
    logits = []
    for token in inputs:
        given, state = cell.compute(np.array([token]), state)
        logits.append(given[0])
    return logits, {name: value[0] for name, value in state.items()}


def assert_same(caller, wanted):
    logits, state = wanted
    assert [taken.number for taken in caller.taken] == list(range(len(logits)))
    for taken, each in zip(caller.taken, logits, strict=True):
        np.testing.assert_array_equal(taken.output("logits"), each)
    assert [taken.last for taken in caller.taken] == [False] * (len(logits) - 1) + [True]
    assert caller.taken[-1].packed == LAYOUT.pack(state)


def test_a_chunk_gives_each_steps_logits_and_the_state_after_it():
    hand, caller = HandEngine(), Caller()
    hand.engine.submit([steps(caller, [3, 1, 4, 1, 5])])
    hand.finish()
    assert_same(caller, plainly([3, 1, 4, 1, 5]))
    assert len(hand.batch) == 0


def test_a_session_goes_on_from_its_state():
    hand, first, second = HandEngine(), Caller(), Caller()
    hand.engine.submit([steps(first, [3, 1])])
    hand.finish()
    hand.engine.submit([steps(second, [4, 1, 5], first.taken[-1].packed)])
    hand.finish()
    assert_same(second, plainly([4, 1, 5], plainly([3, 1])[1]))


def test_steps_share_a_batch_with_everybody_and_change_nothing():
    hand = HandEngine(max_rows=40)
    sessions = [(Caller(), [n, n + 1, 2]) for n in range(6)]
    others = [search((1,), 5), search((2,), 3), greedy((3,)), greedy((4, 5))]
    callers = [Caller() for _ in others]
    for make, caller in zip(others, callers, strict=True):
        hand.engine.submit([make(caller)])
    for caller, inputs in sessions:
        hand.engine.submit([steps(caller, inputs)])
    hand.finish()
    for caller, inputs in sessions:
        assert_same(caller, plainly(inputs))
    for make, caller in zip(others, callers, strict=True):
        alone, one = HandEngine(max_rows=40), Caller()
        alone.engine.submit([make(one)])
        alone.finish()
        assert (one.tokens, one.hypotheses) == (caller.tokens, caller.hypotheses)


def test_a_step_is_told_at_once_however_busy_the_engine_is():
    hand, caller = HandEngine(max_rows=16, max_delay_s=60.0), Caller()
    hand.engine.submit([greedy((n + 1,))(Caller()) for n in range(8)])
    hand.step(2)
    hand.engine.submit([steps(caller, [1])])
    hand.engine._turn()
    assert len(caller.taken) == 1


def test_a_job_may_be_told_of_its_last_step_alone():
    hand, caller, neighbour = HandEngine(), Caller(), Caller()
    hand.engine.submit([steps(caller, [3, 1, 4, 1, 5], every_step=False)])
    hand.engine.submit([steps(neighbour, [9, 2, 6])])
    hand.finish()
    logits, state = plainly([3, 1, 4, 1, 5])
    [taken] = caller.taken
    assert taken.number == 4
    np.testing.assert_array_equal(taken.output("logits"), logits[-1])
    assert taken.packed == LAYOUT.pack(state)
    assert_same(neighbour, plainly([9, 2, 6]))
    assert len(hand.batch) == 0


def test_leaving_a_step_frees_its_slot():
    hand, caller = HandEngine(), Caller()
    job = steps(caller, range(1, 7))
    hand.engine.submit([job])
    hand.step(2)
    hand.engine.cancel([job])
    hand.finish()
    assert len(caller.taken) == 2
    assert len(hand.batch) == 0


class Sum:
    """A model of features: its state is their sum, its prediction that of the next step."""

    blank = np.zeros(2, np.float32)

    def __init__(self):
        self.start = {"sum": np.zeros(2, np.float32)}

    def step(self, inputs, states, view=None, wanted=frozenset()):
        total = states["sum"] + inputs
        values = np.stack([total, 2 * total], axis=1)  # [N, 2, 2]
        return Stepped(values.reshape(len(values), -1), {"sum": total}, {"values": values})


def test_a_model_may_read_features_and_predict_values():
    hand, caller = HandEngine(Sum()), Caller()
    features = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    hand.engine.submit([steps(caller, range(3), features=features)])
    hand.finish()
    np.testing.assert_array_equal(caller.taken[-1].output("values"), [[9, 12], [18, 24]])
    np.testing.assert_array_equal(np.frombuffer(caller.taken[-1].packed, np.float32), [9, 12])


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_fail_their_own_session_alone(number):
    hand, sick, healthy = HandEngine(Sum()), Caller(), Caller()
    features = np.array([[1, number]], np.float32)
    hand.engine.submit([steps(sick, range(1), features=features)])
    hand.engine.submit([steps(healthy, range(1), features=np.ones((1, 2), np.float32))])
    hand.finish()
    assert [type(error) for _, error in sick.errors] == [InternalError]
    assert sick.taken == []
    assert len(healthy.taken) == 1


def test_a_jobs_deadline_bounds_its_wait():
    hand, caller = HandEngine(), Caller()
    job = steps(caller, [1], deadline=0.0)
    hand.engine.submit([job])
    hand.finish()
    assert len(caller.errors) == 1
    assert a_job(caller) is not job
