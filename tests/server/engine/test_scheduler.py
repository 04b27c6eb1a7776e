import pytest

from server.engine.fakes import Caller, a_job
from stepwire_server.config import BatchingConfig
from stepwire_server.engine.scheduler import Scheduler
from stepwire_server.errors import InvalidRequest, Overloaded


def a_scheduler(**config):
    return Scheduler(BatchingConfig(**config))


def test_a_late_job_joins_the_running_batch():
    scheduler, early, late = a_scheduler(max_rows=2), a_job(None), a_job(None)
    scheduler.submit([early])
    scheduler.admit()
    scheduler.submit([late])
    scheduler.admit()
    assert scheduler.running == (early, late)


def test_a_wide_job_waits_until_all_its_rows_fit_and_holds_up_those_behind():
    scheduler = a_scheduler(max_rows=4)
    narrow, wide, behind = a_job(None), a_job(None, samples=4), a_job(None)
    scheduler.submit([narrow, wide, behind])
    assert scheduler.admit() == [narrow]
    scheduler.retire(narrow)
    assert scheduler.admit() == [wide]


def test_calls_take_turns_however_many_prompts_they_bring():
    bulk, single = Caller(), Caller()
    scheduler = a_scheduler(max_rows=1)
    many, one = [a_job(bulk) for _ in range(5)], a_job(single)
    scheduler.submit(many)
    scheduler.submit([one])
    turns = []
    while admitted := scheduler.admit():
        turns += admitted
        scheduler.retire(admitted[0])
    assert turns == [many[0], one, *many[1:]]


def test_a_call_that_could_never_start_is_refused_and_not_told_to_return():
    with pytest.raises(InvalidRequest, match=r"number of prompts must be in \[1, 1\], got 2"):
        a_scheduler(max_waiting=1).submit([a_job(None), a_job(None)])


def test_a_row_that_ends_makes_room():
    scheduler = a_scheduler(max_rows=2)
    pair, single = a_job(None, samples=2), a_job(None)
    scheduler.submit([pair, single])
    scheduler.admit()
    pair.rows[0].position = len(pair.prompt)  # it has read its prompt: one row is left
    scheduler.shrink(pair)
    assert scheduler.admit() == [single]


def test_a_full_queue_turns_callers_away_and_says_when_to_return():
    scheduler = a_scheduler(max_waiting=1)
    scheduler.submit([a_job(None)])
    with pytest.raises(Overloaded, match="1 prompts are waiting, 1 may") as raised:
        scheduler.submit([a_job(None)])
    assert raised.value.retry_after_s > 0


def test_a_job_that_comes_back_waits_its_turn_even_if_the_queue_is_full():
    scheduler, first, back = a_scheduler(max_rows=1, max_waiting=1), a_job(None), a_job(None)
    scheduler.submit([first])
    scheduler.bring_back(back)
    assert scheduler.admit() == [first]
    scheduler.retire(first)
    assert scheduler.admit() == [back]


def test_retiring_a_job_that_is_nowhere_is_no_mistake():
    a_scheduler().retire(a_job(None))


def test_expired_jobs_are_taken_out():
    scheduler = a_scheduler()
    early, late, patient = (a_job(None, deadline=d) for d in (1.0, 3.0, None))
    scheduler.submit([early, late, patient])
    assert scheduler.expired(now=2.0) == [early]
    assert scheduler.waiting == (late, patient)
