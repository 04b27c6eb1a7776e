"""Several engines of one model, as one."""

import sys
import threading
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.app import SWITCH_INTERVAL_S
from stepwire_server.engine.pool import ROWS_TOGETHER
from stepwire_server.engine.prefixes import Beginning
from stepwire_server.errors import InternalError, InvalidRequest, Overloaded, ShuttingDown
from support.tiny import VOCABULARY, TinyCell

from .fakes import Caller, HandEngine, a_job, run
from .test_searching import END, search
from .test_stepping import assert_same, plainly, steps
from .test_visits import Guest

several = pytest.mark.parametrize("engines", [2, 3])


def rows_of(hand):
    return [len(batch) for batch in hand.batches]


def draws(prompt, samples, seed, count):
    return partial(
        a_job, prompt=prompt, samples=samples, temperature=1.0, seed=seed, max_tokens=count
    )


def reads(prompt):
    return lambda caller: steps(caller, prompt)


prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6)
jobs = st.one_of(
    st.builds(draws, prompts, st.integers(1, 3), st.integers(0, 99), st.integers(1, 9)),
    st.builds(search, prompts, st.integers(2, 4)),
    st.builds(reads, prompts),
)


def heard(caller):
    told = [taken.output("logits").tobytes() for taken in caller.taken]
    return caller.tokens, caller.ended, caller.hypotheses, told, caller.errors


@settings(max_examples=40, deadline=None)
@given(st.lists(jobs, min_size=1, max_size=9), st.integers(1, 3), st.integers(4, 12))
def test_any_mix_of_jobs_comes_out_as_alone(makes, engines, max_rows):
    alone = [heard(run(make, whole=True, end=END, max_rows=40)[0]) for make in makes]
    together = run(*makes, whole=True, end=END, engines=engines, max_rows=max_rows)
    assert [heard(caller) for caller in together] == alone


ORDERS = st.tuples(st.sampled_from(["park", "unpark", "cancel", "step"]), st.integers(0, 5))


def obey(hand, submitted, orders):
    """Gives orders to a pool; returns the jobs that were cancelled."""
    cancelled = set()
    for order, number in orders:
        if order == "step":
            hand.step()
        elif number < len(submitted):
            job = submitted[number]
            if order == "cancel":
                cancelled.add(number)
                hand.engine.cancel([job])
            else:
                getattr(hand.engine, order)(job)
    for job in submitted:
        hand.engine.unpark(job)
    hand.finish()
    return cancelled


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(1, 3), st.lists(ORDERS))
def test_whatever_is_ordered_reaches_the_job_and_no_other(widths, engines, orders):
    makes = [draws((n,), width, n, 9) for n, width in enumerate(widths)]
    hand, callers = HandEngine(engines=engines, max_rows=6), [Caller() for _ in makes]
    submitted = [make(caller) for make, caller in zip(makes, callers, strict=True)]
    hand.engine.submit(submitted)
    cancelled = obey(hand, submitted, orders)
    for number, (make, caller) in enumerate(zip(makes, callers, strict=True)):
        [alone] = run(make)
        if number in cancelled:
            alone = {key: alone[key][: len(told)] for key, told in caller.tokens.items()}
        assert caller.tokens == alone
    assert rows_of(hand) == [0] * engines
    assert hand.value("stepwire_slots_in_use") in (None, 0)


def test_one_engine_stands_in_nobodys_way():
    hand = HandEngine()
    assert hand.engine is hand.engines[0]


@several
def test_jobs_of_one_call_spread_evenly(engines):
    hand = HandEngine(engines=engines, max_rows=40)
    hand.engine.submit([a_job(Caller()) for _ in range(4 * engines)])
    hand.step()
    assert rows_of(hand) == [4] * engines
    assert hand.value("stepwire_slots_in_use") == 4 * engines
    assert hand.value("stepwire_slots") == 40 * engines


@several
def test_a_newcomer_goes_where_the_least_is_to_do(engines):
    hand, caller = HandEngine(engines=engines, max_rows=40), Caller()
    wide = a_job(Caller(), samples=5, max_tokens=50)
    hand.engine.submit([wide])
    hand.step()
    for _ in range(engines - 1):
        hand.engine.submit([a_job(caller, max_tokens=50)])
    hand.step()
    assert rows_of(hand) == [5] + [1] * (engines - 1)
    hand.engine.cancel([wide])
    hand.step()
    hand.engine.submit([a_job(caller)])
    hand.step()
    assert rows_of(hand) == [1] * engines


def test_one_row_of_a_job_can_be_cancelled_on_any_engine():
    hand, callers = HandEngine(engines=2), [Caller(), Caller()]
    submitted = [a_job(caller, samples=3, max_tokens=5, temperature=1.0) for caller in callers]
    hand.engine.submit(submitted)
    hand.step()
    hand.engine.cancel_row(submitted[1].rows[1])
    hand.finish()
    lengths = [[len(caller.tokens[0, n]) for n in range(3)] for caller in callers]
    assert lengths == [[5, 5, 5], [5, 1, 5]]


@several
def test_the_queue_is_the_models_and_turns_a_request_away_as_a_whole(engines):
    hand, refused = HandEngine(engines=engines, max_waiting=4), Caller()
    hand.engine.submit([a_job(Caller()) for _ in range(3)])
    with pytest.raises(Overloaded, match="3 prompts are waiting, 4 may"):
        hand.engine.submit([a_job(refused) for _ in range(2)])
    with pytest.raises(InvalidRequest, match=r"number of prompts must be in \[1, 4\], got 5"):
        hand.engine.submit([a_job(refused) for _ in range(5)])
    with pytest.raises(InvalidRequest, match=r"n must be in \[1, 8\], got 9"):
        hand.engine.submit([a_job(refused), a_job(refused, samples=9)])
    hand.finish()
    assert heard(refused) == heard(Caller())
    assert hand.value("stepwire_step_rows_sum") == 3 * 8
    hand.engine.submit([a_job(Caller()) for _ in range(4)])


def test_what_is_promised_has_its_place_in_the_models_queue():
    hand, caller = HandEngine(engines=2, max_waiting=4), Caller()
    hand.engine.promise([1, 1, 1])
    with pytest.raises(Overloaded, match="3 prompts are waiting, 4 may"):
        hand.engine.promise([1, 1])
    hand.engine.keep_promise(a_job(caller))
    with pytest.raises(Overloaded, match="3 prompts are waiting, 4 may"):
        hand.engine.submit([a_job(Caller()), a_job(Caller())])
    hand.engine.break_promise(2)
    hand.engine.submit([a_job(Caller()), a_job(Caller())])
    hand.finish()
    assert caller.tokens == run(a_job)[0]


def test_readers_that_are_behind_count_for_the_model():
    hand = HandEngine(engines=2, max_parked=2)
    sleepers = [a_job(Caller(), max_tokens=50) for _ in range(2)]
    hand.engine.submit(sleepers)
    hand.step()
    for job in sleepers:
        hand.engine.park(job)
    hand.step()
    assert hand.value("stepwire_parked") == 2
    with pytest.raises(Overloaded, match="2 prompts are not being read"):
        hand.engine.submit([a_job(Caller())])
    with pytest.raises(Overloaded, match="2 prompts are not being read"):
        hand.engine.promise([1])
    hand.engine.cancel(sleepers)
    hand.step()
    hand.engine.submit([a_job(Caller())])


def test_work_that_goes_on_is_not_turned_away():
    hand, caller = HandEngine(engines=2, max_waiting=1), Caller()
    hand.engine.submit([a_job(Caller())])
    hand.engine.go_on(steps(caller, [3, 1, 4]))
    hand.finish()
    assert_same(caller, plainly([3, 1, 4]))


@several
def test_few_steps_stay_together_and_many_spread(engines):
    hand = HandEngine(engines=engines, max_rows=512)
    few, many = ([Guest([n % 9]) for n in range(count)] for count in (ROWS_TOGETHER, 300))
    for guests in (few, many):
        hand.engine.visit([guest.visit() for guest in guests])
        hand.step()
        for guest in guests:
            guest.assert_as_alone()
    assert {size for guest in few for size in guest.batches} == {ROWS_TOGETHER}
    assert {size for guest in many for size in guest.batches} == {300 // engines}


def test_steps_go_where_the_least_is_to_do():
    hand, guest = HandEngine(engines=2), Guest([3])
    hand.engine.submit([a_job(Caller(), max_tokens=50)])
    hand.step()
    hand.engine.visit([guest.visit()])
    hand.step()
    assert guest.batches == [1]


@several
def test_the_queue_of_steps_is_the_models(engines):
    hand, guests = HandEngine(engines=engines, max_waiting=4), [Guest([n]) for n in range(3)]
    hand.engine.visit([guest.visit() for guest in guests])
    with pytest.raises(Overloaded, match="3 steps are waiting, 4 may"):
        hand.engine.visit([Guest([1]).visit(), Guest([2]).visit()])
    with pytest.raises(InvalidRequest, match="number of rows must be in"):
        hand.engine.visit([Guest([1]).visit() for _ in range(5)])
    hand.finish()
    for guest in guests:
        guest.assert_as_alone()


def test_engines_share_the_beginnings_of_prompts():
    hand, prompt = HandEngine(engines=2, prefix_cache_bytes=1 << 20), [*range(20)]
    [plain] = run(partial(a_job, prompt=prompt))
    callers = [Caller() for _ in range(4)]
    for count, caller in enumerate(callers, start=1):
        hand.engine.submit([a_job(caller, prompt, beginning=Beginning.of("", prompt))])
        if count % 2:  # the next one finds the first engine busy
            hand.step()
        else:
            hand.finish()
    assert all(caller.tokens == plain for caller in callers)
    assert hand.value("stepwire_prefix_cache_hits_total") >= 2


def test_an_engine_that_breaks_leaves_the_others_jobs_alone():
    class Breaking(TinyCell):
        def compute(self, tokens, states):
            if (tokens == 7).any():
                raise RuntimeError("the graph broke")
            return super().compute(tokens, states)

    hand, broken, sound = HandEngine(Breaking(), engines=2), Caller(), Caller()
    hand.engine.submit([a_job(broken, prompt=(7,)), a_job(sound, logit_bias={7: -100.0})])
    hand.finish()
    assert [type(error) for _, error in broken.errors] == [InternalError]
    assert len(sound.tokens[0, 0]) == 8


def test_stopping_fails_whatever_is_left_on_any_engine():
    hand, callers = HandEngine(engines=2, max_rows=1), [Caller() for _ in range(4)]
    guest = Guest([1])
    hand.engine.submit([a_job(caller, max_tokens=100) for caller in callers])
    hand.step()
    hand.engine.visit([guest.visit()])
    hand.engine.stop()
    for refused in (
        partial(hand.engine.submit, [a_job(Caller())]),
        partial(hand.engine.visit, [guest.visit()]),
        partial(hand.engine.promise, [1]),
        partial(hand.engine.go_on, a_job(Caller())),
        partial(hand.engine.keep_promise, a_job(Caller())),
    ):
        with pytest.raises(ShuttingDown):
            refused()
    for _ in hand.engines:
        hand.engine.run()
    for caller in callers:
        assert [type(error) for _, error in caller.errors] == [ShuttingDown]
    assert isinstance(guest.errors[0], ShuttingDown)


class Watched(TinyCell):
    """Knows on which threads it has run."""

    def __init__(self):
        super().__init__()
        self.threads = set()

    def step(self, *args):
        self.threads.add(threading.get_ident())
        return super().step(*args)


@pytest.fixture
def awake():
    """A pool with threads of its own."""
    hand = HandEngine(Watched(), engines=3)
    threads = [threading.Thread(target=hand.engine.run) for _ in hand.engines]
    for thread in threads:
        thread.start()
    yield hand
    hand.engine.stop()
    for thread in threads:
        thread.join()


def wait_for(hand, is_so):
    gives_up_at = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < gives_up_at
        time.sleep(0.0002)
        hand.outbox.flush()


def test_every_engine_has_a_thread_and_all_of_them_work(awake):
    callers, guests = [Caller() for _ in range(30)], [Guest([n % 9]) for n in range(200)]
    awake.engine.hold()
    awake.engine.submit([a_job(caller, prompt=(5,), max_tokens=4) for caller in callers])
    awake.engine.visit([guest.visit() for guest in guests])
    awake.engine.let_go()
    wait_for(awake, lambda: all(caller.ended for caller in callers))
    wait_for(awake, lambda: all(guest.logits for guest in guests))
    assert len(awake.cell.threads) == 3
    [alone] = run(partial(a_job, prompt=(5,), max_tokens=4))
    assert all(caller.tokens == alone for caller in callers)
    for guest in guests:
        guest.assert_as_alone()


def test_a_lone_step_is_taken_on_the_callers_own_thread(awake, monkeypatch):
    monkeypatch.setattr("stepwire_server.engine.engine.LONGEST_HERE_S", 10.0)
    guest = Guest([3, 1, 4])
    for _ in guest.inputs:
        wait_for(awake, lambda: awake.engine.step_here(guest.visit()))
    guest.assert_as_alone()
    assert awake.cell.threads == {threading.get_ident()}


def test_a_lone_step_waits_for_nobody_who_is_at_work():
    hand = HandEngine(engines=2)  # nobody runs them, so they do not sleep
    assert not hand.engine.step_here(Guest([1]).visit())


class Tally(Caller):
    """Counts tokens, and says when they are so many."""

    def __init__(self, most, reached):
        super().__init__()
        self.count, self.most, self.reached = 0, most, reached

    def deliver(self, delivery):
        self.count += len(delivery.tokens)
        if self.count >= self.most:
            self.reached.set()


@pytest.fixture
def as_served():
    """The interpreter changes threads as often as in a server."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("as_served")
def test_neither_of_two_models_starves_while_both_are_busy():
    most, reached = 20_000, threading.Event()
    tallies = [Tally(most, reached) for _ in range(2)]
    models = [HandEngine(engines=2) for _ in tallies]
    threads = [threading.Thread(target=model.engine.run) for model in models for _ in model.engines]
    for model, tally in zip(models, tallies, strict=True):
        model.engine.submit([a_job(tally, samples=4, max_tokens=10**6) for _ in range(4)])
    for thread in threads:
        thread.start()
    assert reached.wait(60)
    counts = [tally.count for tally in tallies]
    for model in models:
        model.engine.stop()
    for thread in threads:
        thread.join()
    assert min(counts) > most / 10
