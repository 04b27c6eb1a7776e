import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.engine.fakes import Caller, HandEngine, a_job, run
from stepwire_server.decoding.filters import log_softmax
from stepwire_server.engine.job import FinishReason
from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    Overloaded,
    ShuttingDown,
)
from support.tiny import UNKNOWN, VOCABULARY, TinyCell


def greedy(prompt, count, cell=None):
    """The obvious way: one sequence, one step at a time."""
    cell = cell or TinyCell()
    states = {name: value[None] for name, value in cell.start.items()}
    for token in prompt:
        logits, states = cell.compute(np.array([token]), states)
    tokens = []
    for _ in range(count):
        tokens.append(int(logits[0].argmax()))
        logits, states = cell.compute(np.array(tokens[-1:]), states)
    return tokens


@pytest.mark.parametrize("prompt", [(1,), (2, 3), (4, 1, 2, 9, 9, 5)])
def test_it_generates_what_stepping_by_hand_generates(prompt):
    [tokens] = run(partial(a_job, prompt=prompt, max_tokens=12))
    assert tokens == {(0, 0): greedy(prompt, 12)}


requests = st.fixed_dictionaries(
    {
        "prompt": st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9),
        "samples": st.integers(1, 3),
        "max_tokens": st.integers(1, 9),
        "temperature": st.sampled_from([0.0, 0.7, 1.5]),
        "top_k": st.sampled_from([0, 3]),
        "repetition_penalty": st.sampled_from([1.0, 1.3]),
        "seed": st.integers(0, 2**64 - 1),
        "logprobs": st.sampled_from([None, 2]),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(requests, min_size=1, max_size=7), st.integers(3, 12))
def test_sharing_a_batch_changes_no_token(all_requests, max_rows):
    jobs = [partial(a_job, **request) for request in all_requests]
    alone = [run(job)[0] for job in jobs]
    assert run(*jobs, max_rows=max_rows) == alone


def test_prompts_and_generation_share_the_run():
    hand, first, late = HandEngine(), Caller(), Caller()
    hand.engine.submit([a_job(first, max_tokens=6)])
    hand.step(2)
    hand.engine.submit([a_job(late, prompt=(1, 2, 3))])
    hand.step(2)
    assert hand.cell.batch_sizes == [1, 1, 2, 2]


def test_samples_read_their_prompt_once_and_then_part():
    hand, caller = HandEngine(), Caller()
    hand.engine.submit([a_job(caller, prompt=(1, 2), samples=3, temperature=2.0, max_tokens=5)])
    hand.finish()
    assert hand.cell.batch_sizes == [1, 1, 3, 3, 3, 3]
    assert len({tuple(tokens) for tokens in caller.tokens.values()}) > 1


def test_a_slot_is_reused_as_if_it_were_new():
    jobs = [partial(a_job, prompt=(p,), max_tokens=3) for p in range(1, 6)]
    assert run(*jobs, max_rows=1) == [run(job)[0] for job in jobs]


def test_the_end_token_ends_a_sequence_and_is_not_part_of_it():
    end = greedy((1,), 12)[3]
    first_end = greedy((1,), 12).index(end)
    hand, caller = HandEngine(end=end), Caller()
    hand.engine.submit([a_job(caller, max_tokens=12)])
    hand.finish()
    assert caller.tokens == {(0, 0): greedy((1,), 12)[:first_end]}
    assert caller.ended == {(0, 0): FinishReason.END_OF_SEQUENCE}


def test_a_stop_token_ends_a_sequence_and_is_not_part_of_it():
    stop = greedy((1,), 12)[2]
    hand, caller = HandEngine(), Caller()
    hand.engine.submit([a_job(caller, max_tokens=12, stop_token_ids=(stop,))])
    hand.finish()
    assert caller.ended == {(0, 0): FinishReason.STOP}
    assert stop not in caller.tokens[0, 0]


def test_logprobs_are_the_models_own_before_any_option():
    cell, caller = TinyCell(), Caller()
    hand = HandEngine(cell)
    hand.engine.submit([a_job(caller, logprobs=3, max_tokens=1, temperature=2.0, top_k=1)])
    hand.finish()
    logits = TinyCell().run(np.array([[1]]))[0, 0]
    expected = log_softmax(logits[None])[0]
    [logprobs] = caller.logprobs[0, 0]
    best = np.argsort(-expected)[:3]
    assert [token for token, _ in logprobs.top] == best.tolist()
    np.testing.assert_allclose([value for _, value in logprobs.top], expected[best])
    assert logprobs.logprob == logprobs.top[0][1]


def test_cancelling_frees_the_slots_within_a_step():
    hand, leaver, waiter = HandEngine(max_rows=1), Caller(), Caller()
    job = a_job(leaver, max_tokens=100)
    hand.engine.submit([job])
    hand.engine.submit([a_job(waiter)])
    hand.step(2)
    hand.engine.cancel([job])
    hand.step()
    assert len(waiter.tokens[0, 0]) == 1
    assert hand.value("stepwire_cancelled_total", stage="running") == 1


def test_cancelling_one_sample_leaves_the_others():
    hand, caller = HandEngine(), Caller()
    job = a_job(caller, samples=3, max_tokens=5, temperature=1.0)
    hand.engine.submit([job])
    hand.step()
    hand.engine.cancel_row(job.rows[1])
    hand.finish()
    assert [len(caller.tokens[0, sample]) for sample in range(3)] == [5, 1, 5]


def test_a_parked_job_gives_up_its_slot_and_goes_on_where_it_was():
    hand, sleeper, other = HandEngine(max_rows=1), Caller(), Caller()
    options = {"max_tokens": 10, "temperature": 1.0, "seed": 9, "presence_penalty": 1.0}
    [undisturbed] = run(partial(a_job, **options))
    job = a_job(sleeper, **options)
    hand.engine.submit([job])
    hand.step(4)
    hand.engine.park(job)
    hand.engine.submit([a_job(other)])
    hand.finish()
    assert len(sleeper.tokens[0, 0]) == 4
    assert len(other.tokens[0, 0]) == 8
    hand.engine.unpark(job)
    hand.finish()
    assert sleeper.tokens == undisturbed


def test_a_job_parked_and_called_back_between_two_steps_goes_on_once():
    options = {"max_tokens": 10, "temperature": 1.0, "seed": 9}
    [undisturbed] = run(partial(a_job, **options))
    hand, caller = HandEngine(), Caller()
    job = a_job(caller, **options)
    hand.engine.submit([job])
    hand.step(3)
    hand.engine.park(job)
    hand.engine.unpark(job)
    hand.finish()
    assert caller.tokens == undisturbed
    assert set(hand.cell.batch_sizes) == {1}


def test_a_wide_job_waits_until_all_its_rows_fit():
    hand, narrow, wide = HandEngine(max_rows=3), Caller(), Caller()
    hand.engine.submit([a_job(narrow, max_tokens=2)])
    hand.engine.submit([a_job(wide, samples=3, max_tokens=2)])
    hand.step()
    assert not wide.tokens
    hand.finish()
    assert len(wide.tokens) == 3


def test_a_job_wider_than_the_batch_is_refused():
    hand = HandEngine(max_rows=2)
    with pytest.raises(InvalidRequest, match=r"n must be in \[1, 2\], got 3"):
        hand.engine.submit([a_job(Caller(), samples=3)])


def test_a_full_queue_turns_a_request_away_as_a_whole():
    hand, caller = HandEngine(max_waiting=2), Caller()
    hand.engine.submit([a_job(Caller())])
    with pytest.raises(Overloaded, match="1 prompts are waiting, 2 may"):
        hand.engine.submit([a_job(caller) for _ in range(2)])
    hand.finish()
    assert not caller.tokens


def test_work_whose_deadline_passes_in_the_queue_is_dropped():
    hand, runner, late = HandEngine(max_rows=1), Caller(), Caller()
    hand.engine.submit([a_job(runner, max_tokens=3)])
    hand.step()
    hand.engine.submit([a_job(late, deadline=time.monotonic() - 1)])
    hand.finish()
    assert [type(error) for _, error in late.errors] == [DeadlineExceeded]
    assert not late.tokens
    assert len(runner.tokens[0, 0]) == 3


class BrokenCell(TinyCell):
    """Gives NaN for one token, and cannot run another at all."""

    def compute(self, tokens, states):
        if (tokens == 7).any():
            raise RuntimeError("the graph broke")
        logits, states = super().compute(tokens, states)
        logits[tokens == UNKNOWN] = np.nan
        return logits, states


def test_numbers_that_are_not_finite_fail_their_own_job_alone():
    hand, sick, healthy = HandEngine(BrokenCell()), Caller(), Caller()
    hand.engine.submit([a_job(sick, prompt=(UNKNOWN,))])
    hand.engine.submit([a_job(healthy, logit_bias={7: -100.0})])
    hand.finish()
    assert [type(error) for _, error in sick.errors] == [InternalError]
    assert len(healthy.tokens[0, 0]) == 8


def test_the_engine_goes_on_after_a_step_that_broke():
    hand, broken, later = HandEngine(BrokenCell()), Caller(), Caller()
    hand.engine.submit([a_job(broken, prompt=(7,))])
    hand.finish()
    assert [type(error) for _, error in broken.errors] == [InternalError]
    hand.engine.submit([a_job(later, logit_bias={7: -100.0})])
    hand.finish()
    assert len(later.tokens[0, 0]) == 8


def test_a_job_that_cannot_be_started_fails_alone():
    hand, wrong, healthy = HandEngine(), Caller(), Caller()
    hand.engine.submit([a_job(wrong, prompt=(999,), repetition_penalty=1.2)])
    hand.engine.submit([a_job(healthy)])
    hand.finish()
    assert [type(error) for _, error in wrong.errors] == [InternalError]
    assert len(healthy.tokens[0, 0]) == 8


def test_an_engine_that_fails_tells_its_callers_and_goes_on(monkeypatch):
    hand, unlucky, later = HandEngine(), Caller(), Caller()
    hand.engine.submit([a_job(unlucky)])
    turns = []

    def turn():
        turns.append(None)
        if len(turns) == 1:
            raise RuntimeError("nobody foresaw this")
        hand.engine.submit([a_job(later, max_tokens=1)])
        hand.finish()
        hand.engine.stop()

    monkeypatch.setattr(hand.engine, "_turn", turn)
    hand.engine.run()
    assert [type(error) for _, error in unlucky.errors] == [InternalError]
    assert len(later.tokens[0, 0]) == 1


def test_when_too_many_readers_sleep_newcomers_are_turned_away():
    hand, sleeper = HandEngine(max_parked=1), Caller()
    job = a_job(sleeper, max_tokens=10)
    hand.engine.submit([job])
    hand.step()
    hand.engine.park(job)
    hand.step()
    with pytest.raises(Overloaded, match="1 prompts are not being read"):
        hand.engine.submit([a_job(Caller())])
    hand.engine.cancel([job])
    hand.step()
    hand.engine.submit([a_job(Caller())])


def test_stopping_fails_whatever_is_left():
    hand = HandEngine(max_rows=1)
    running, parked, waiting = Caller(), Caller(), Caller()
    jobs = [a_job(caller, max_tokens=100) for caller in (parked, running, waiting)]
    hand.engine.submit(jobs)
    hand.step()
    hand.engine.park(jobs[0])
    hand.step()
    hand.engine.stop()
    hand.engine.run()
    for caller in (running, parked, waiting):
        assert [type(error) for _, error in caller.errors] == [ShuttingDown]
    with pytest.raises(ShuttingDown):
        hand.engine.submit([a_job(Caller())])


def test_tokens_and_rows_are_counted():
    hand, caller = HandEngine(), Caller()
    hand.engine.submit([a_job(caller, prompt=(1, 2, 3), max_tokens=4)])
    hand.finish()
    assert hand.value("stepwire_input_tokens_total") == 3
    assert hand.value("stepwire_output_tokens_total") == 4
    assert hand.value("stepwire_step_rows_count") == 6
    assert hand.value("stepwire_slots_in_use") == 0
