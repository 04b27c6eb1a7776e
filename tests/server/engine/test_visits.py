"""Single steps that bring their states, beside rows that stay."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.engine import engine
from stepwire_server.engine.visits import Visit
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    Overloaded,
    ShuttingDown,
)
from support.tiny import VOCABULARY, TinyCell

from .fakes import Caller, HandEngine, a_job
from .test_searching import greedy, search
from .test_stepping import LAYOUT, plainly, steps


@dataclass
class Guest:
    """Comes for one step after the other, each going on from the one before."""

    inputs: list
    logits: list = field(default_factory=list)
    packed: bytes = b""
    errors: list = field(default_factory=list)
    batches: list = field(default_factory=list)

    def visit(self, **fields):
        return Visit(
            reads=self.inputs[len(self.logits)],
            packed=self.packed,
            wanted=frozenset(),
            taken=self.take,
            failed=self.errors.append,
            **fields,
        )

    def take(self, given, place):
        self.logits.append(given.outputs["logits"][place])
        self.packed = given.packed(place)
        self.batches.append(given.batch)

    def assert_as_alone(self):
        logits, state = plainly(self.inputs)
        np.testing.assert_array_equal(self.logits, logits)
        assert self.packed == LAYOUT.pack(state)


def test_a_guest_goes_on_from_where_it_was_and_takes_no_slot():
    hand, guest = HandEngine(), Guest([3, 1, 4])
    for _ in guest.inputs:
        hand.engine.visit([guest.visit()])
        hand.step()
        assert hand.value("stepwire_slots_in_use") in (None, 0)
    guest.assert_as_alone()
    assert not hand.step()


def test_guests_share_the_run_with_whoever_is_there_and_change_nothing():
    hand = HandEngine(max_rows=40)
    others = [search((1,), 5), greedy((3,)), greedy((4, 5))]
    callers, session = [Caller() for _ in others], Caller()
    for make, caller in zip(others, callers, strict=True):
        hand.engine.submit([make(caller)])
    hand.engine.submit([steps(session, [5, 6, 7])])
    guests = [Guest([n, n + 1, 2]) for n in range(6)]
    for _ in range(3):
        hand.engine.visit([guest.visit() for guest in guests])
        hand.step()
    hand.finish()
    for guest in guests:
        guest.assert_as_alone()
        assert max(guest.batches) > len(guests)
    for make, caller in zip(others, callers, strict=True):
        alone, one = HandEngine(max_rows=40), Caller()
        alone.engine.submit([make(one)])
        alone.finish()
        assert (one.tokens, one.hypotheses) == (caller.tokens, caller.hypotheses)
    np.testing.assert_array_equal(
        [taken.output("logits") for taken in session.taken], plainly([5, 6, 7])[0]
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=5), min_size=1, max_size=6
    ),
    st.lists(st.integers(1, 9), max_size=4),
    st.integers(2, 6),
)
def test_any_mix_of_guests_and_rows_comes_out_as_alone(all_inputs, lengths, max_rows):
    hand = HandEngine(max_rows=max_rows)
    callers = [Caller() for _ in lengths]
    for caller, length in zip(callers, lengths, strict=True):
        hand.engine.submit([a_job(caller, prompt=(length,), max_tokens=length)])
    guests = [Guest(inputs) for inputs in all_inputs]
    while left := [guest for guest in guests if len(guest.logits) < len(guest.inputs)]:
        hand.engine.visit([guest.visit() for guest in left])
        while len(hand.engine._visits):
            hand.step()
    hand.finish()
    for guest in guests:
        guest.assert_as_alone()
    for caller, length in zip(callers, lengths, strict=True):
        alone, one = HandEngine(), Caller()
        alone.engine.submit([a_job(one, prompt=(length,), max_tokens=length)])
        alone.finish()
        assert one.tokens == caller.tokens


def test_a_step_waits_for_no_slot():
    hand, guest = HandEngine(max_rows=2), Guest([7])
    hand.engine.submit([a_job(Caller(), prompt=(n,), max_tokens=50) for n in (1, 2, 3)])
    hand.step()
    hand.engine.visit([guest.visit()])
    hand.step()
    guest.assert_as_alone()


def test_no_more_guests_than_rows_come_along_in_one_run():
    hand, guests = HandEngine(max_rows=3), [Guest([n]) for n in range(8)]
    hand.engine.visit([guest.visit() for guest in guests])
    hand.finish()
    assert [batch for guest in guests for batch in guest.batches] == [3] * 6 + [2] * 2


def test_too_many_that_wait_are_refused_all_together():
    hand, guests = HandEngine(max_waiting=4), [Guest([n]) for n in range(3)]
    hand.engine.visit([guest.visit() for guest in guests])
    with pytest.raises(Overloaded, match="3 steps are waiting, 4 may"):
        hand.engine.visit([Guest([1]).visit(), Guest([2]).visit()])
    with pytest.raises(InvalidRequest, match="number of rows must be in"):
        hand.engine.visit([Guest([1]).visit() for _ in range(5)])
    hand.finish()
    for guest in guests:
        guest.assert_as_alone()


def test_who_has_left_or_is_late_is_not_stepped():
    hand, gone, late, there = HandEngine(), Guest([1]), Guest([2]), Guest([3])
    left = gone.visit()
    visits = [left, late.visit(deadline=time.monotonic() - 1), there.visit()]
    hand.engine.visit(visits)
    left.left = True
    hand.finish()
    assert (gone.logits, gone.errors) == ([], [])
    assert isinstance(late.errors[0], DeadlineExceeded)
    there.assert_as_alone()
    assert there.batches == [1]
    assert hand.value("stepwire_cancelled_total", stage="waiting") == 1
    assert hand.value("stepwire_deadline_dropped_total") == 1


def test_one_whose_numbers_break_fails_alone():
    hand, broken, sound = HandEngine(), Guest([1]), Guest([2])
    state = {name: np.full_like(value, np.inf) for name, value in TinyCell().start.items()}
    broken.packed = LAYOUT.pack(state)
    hand.engine.visit([broken.visit(), sound.visit()])
    hand.finish()
    assert isinstance(broken.errors[0], InternalError)
    sound.assert_as_alone()


def test_a_run_that_fails_fails_its_guests_and_the_next_is_sound():
    class Breaking(TinyCell):
        breaks = True

        def step(self, *args):
            if self.breaks:
                raise RuntimeError("broken")
            return super().step(*args)

    hand, guest, next_one = HandEngine(Breaking()), Guest([1]), Guest([2])
    hand.engine.visit([guest.visit()])
    hand.step()
    assert isinstance(guest.errors[0], InternalError)
    hand.cell.breaks = False
    hand.engine.visit([next_one.visit()])
    hand.step()
    next_one.assert_as_alone()


def test_one_that_cannot_be_told_leaves_the_others_alone():
    hand, deaf, guest = HandEngine(), Guest([1]), Guest([2])
    visit = deaf.visit()
    visit.taken = None
    hand.engine.visit([visit, guest.visit()])
    hand.step()
    assert isinstance(deaf.errors[0], InternalError)
    guest.assert_as_alone()


def test_stopping_fails_who_waits():
    hand, guest = HandEngine(), Guest([1])
    hand.engine.visit([guest.visit()])
    hand.engine.stop()
    hand.engine.run()
    assert isinstance(guest.errors[0], ShuttingDown)
    with pytest.raises(ShuttingDown):
        hand.engine.visit([Guest([1]).visit()])


class Watched(TinyCell):
    """Knows on which thread it last ran, and may take its time."""

    takes_s = 0.0

    def step(self, *args):
        self.thread = threading.get_ident()
        time.sleep(self.takes_s)
        return super().step(*args)


@pytest.fixture
def awake():
    """An engine with a thread of its own, and the cell that it runs."""
    hand = HandEngine(Watched())
    thread = threading.Thread(target=hand.engine.run)
    thread.start()
    yield hand
    hand.engine.stop()
    thread.join()


def wait_for(hand, is_so):
    gives_up_at = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < gives_up_at
        time.sleep(0.0002)
        hand.outbox.flush()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Runs of a machine that is busy with other work may take long: they count as short here."""
    monkeypatch.setattr(engine, "LONGEST_HERE_S", 10.0)


def step_here(hand, guest):
    """Takes a step here as soon as the engine sleeps."""
    gives_up_at = time.monotonic() + 20
    while not hand.engine.step_here(guest.visit()):
        assert time.monotonic() < gives_up_at


def test_a_lone_step_is_taken_on_the_callers_own_thread(awake):
    guest = Guest([3, 1, 4])
    for _ in guest.inputs:
        step_here(awake, guest)
        assert awake.cell.thread == threading.get_ident()
    guest.assert_as_alone()
    assert awake.value("stepwire_step_rows_count") == 3
    assert awake.value("stepwire_queue_seconds_count") == 3


def test_an_engine_that_is_at_work_or_has_work_is_left_to_it():
    hand = HandEngine()  # nobody runs it, so it does not sleep
    assert not hand.engine.step_here(Guest([1]).visit())


def test_a_model_whose_runs_are_long_does_not_keep_the_caller(awake, monkeypatch):
    monkeypatch.setattr(engine, "LONGEST_HERE_S", 0.01)
    awake.cell.takes_s = 0.02
    first = Guest([1])
    step_here(awake, first)
    first.assert_as_alone()
    for _ in range(100):
        assert not awake.engine.step_here(Guest([1]).visit())


def test_a_lone_step_that_fails_is_told_and_the_engine_goes_on(awake):
    guest, next_one = Guest([1]), Guest([2])
    visit = guest.visit()
    visit.packed = b"cut short"
    while not awake.engine.step_here(visit):
        pass
    assert isinstance(guest.errors[0], InternalError)
    step_here(awake, next_one)
    next_one.assert_as_alone()


def test_steps_here_and_jobs_there_never_meet_in_the_graph(awake):
    guests, jobs = [Guest([n, n + 1, 2]) for n in range(20)], [Caller() for _ in range(20)]
    for guest, caller in zip(guests, jobs, strict=True):
        awake.engine.submit([a_job(caller, prompt=(5,), max_tokens=4)])
        for count in range(1, 4):
            visit = guest.visit()
            if not awake.engine.step_here(visit):
                awake.engine.visit([visit])
            wait_for(awake, lambda count=count, guest=guest: len(guest.logits) == count)
        guest.assert_as_alone()
    wait_for(awake, lambda: all(caller.ended for caller in jobs))
    alone, one = HandEngine(), Caller()
    alone.engine.submit([a_job(one, prompt=(5,), max_tokens=4)])
    alone.finish()
    assert all(caller.tokens == one.tokens for caller in jobs)
