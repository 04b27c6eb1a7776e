import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from stepwire_server.config import SessionLimits
from stepwire_server.engine.tensors import Answer, Asked
from stepwire_server.errors import (
    InternalError,
    InvalidRequest,
    Overloaded,
    SessionEvicted,
    SessionExpired,
    SessionNotFound,
)
from stepwire_server.metrics import Metrics, SequenceMetrics
from stepwire_server.registry.loaded import Lease, LoadedModel
from stepwire_server.registry.signature import Kind, Signature, TensorSpec
from stepwire_server.sessions.sequence import Key, Request, Start
from stepwire_server.sessions.sequences import SequenceTable


class Summing:
    """A model whose state is the sum of what it read; answers when it is told to."""

    def __init__(self, max_idle_s=None):
        number = TensorSpec(name="n", dtype="int64", shape=(-1, 1))
        self.signature = Signature(
            name="sum",
            version="1",
            kind=Kind.SEQUENCE,
            inputs=(number,),
            outputs=(number,),
            max_rows=4,
            states=((number, number),),
            max_idle_s=max_idle_s,
        )
        self.queue = []
        self.refusal = None

    def begin(self, asked, done, failed):
        if self.refusal:
            raise self.refusal
        work = (asked, done, failed)
        self.queue.append(work)
        return lambda: self.queue.remove(work)

    def answer(self):
        """Answers the request that has waited for longest."""
        asked, done, _ = self.queue.pop(0)
        states = asked.states or [b"0"] * asked.rows
        sums = [int(state) + asked.tensors["n"] for state in states]
        done(Answer({"n": sums}, [b"%d" % total for total in sums]))

    def fail(self):
        self.queue.pop(0)[2](InternalError("no"))


class Callers:
    """A table, its model, and a clock that is turned by hand."""

    def __init__(self, model=None, **limits):
        self.now = 0.0
        self.model = model or Summing()
        self.loaded = LoadedModel(provider="", load_seconds=0.0, stop=lambda: None)
        self.registry = CollectorRegistry()
        metrics = SequenceMetrics(Metrics(self.registry))
        self.table = SequenceTable(SessionLimits(**limits), metrics, lambda: self.now)

    def send(self, n, id=1, *, owner="me", start=False, end=False, rows=1):
        """Sends a request; gives what it is answered with, in a list, and how to cancel it."""
        told = []
        begins = Start(Lease(self.loaded), self.model) if start else None
        request = Request(
            asked=Asked(tensors={"n": n}, rows=rows, wanted=["n"]),
            done=lambda answer: told.append(answer.tensors["n"][0]),
            failed=told.append,
            start=begins,
            ends=end,
        )
        cancel = self.table.submit(Key(owner, "sum", id), request)
        return told, cancel

    def ask(self, n, id=1, **flags):
        """Sends a request and has it answered."""
        told, _ = self.send(n, id, **flags)
        if self.model.queue:
            self.model.answer()
        [answer] = told
        if isinstance(answer, Exception):
            raise answer
        return answer

    def metric(self, name, **labels):
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def callers():
    return Callers()


def test_a_sequence_goes_on_where_it_was(callers):
    assert callers.ask(1, start=True) == 1
    assert callers.ask(2) == 3
    assert callers.ask(4, end=True) == 7
    with pytest.raises(SessionNotFound):
        callers.ask(1)


def test_a_sequence_that_never_began_is_told_in_the_words_that_clients_know(callers):
    with pytest.raises(SessionNotFound) as told:
        callers.ask(1, 42)
    assert str(told.value) == (
        "inference request for sequence 42 to model 'sum' must specify the START flag on the "
        "first request of the sequence"
    )


@pytest.mark.parametrize("others", [{"id": "1"}, {"owner": "you"}, {"id": 2}])
def test_ids_of_other_kinds_and_other_callers_are_others(callers, others):
    callers.ask(1, start=True)
    with pytest.raises(SessionNotFound):
        callers.ask(1, **others)
    assert callers.ask(5, **others, start=True) == 5
    assert callers.ask(1) == 2


def test_requests_of_one_sequence_wait_for_each_other(callers):
    first, _ = callers.send(1, start=True)
    second, _ = callers.send(2)
    third, _ = callers.send(3, end=True)
    assert len(callers.model.queue) == 1
    for _ in range(3):
        callers.model.answer()
    assert (first, second, third) == ([1], [3], [6])


def test_requests_of_different_sequences_do_not(callers):
    for id in range(1, 5):
        callers.send(1, id, start=True)
    assert len(callers.model.queue) == 4


def test_start_begins_a_live_sequence_anew_and_is_counted(callers):
    callers.ask(1, start=True)
    assert callers.ask(5, start=True) == 5
    assert callers.ask(1) == 6
    assert callers.metric("stepwire_sequences_restarted_total") == 1
    assert callers.loaded.users == 1


def test_a_request_that_fails_changes_nothing(callers):
    callers.ask(1, start=True)
    for flags in ({}, {"end": True}, {"start": True}):
        told, _ = callers.send(100, **flags)
        behind, _ = callers.send(0)
        callers.model.fail()
        assert isinstance(told[0], InternalError)
        callers.model.answer()
        assert behind == [1]


def test_a_start_that_fails_leaves_nothing(callers):
    told, _ = callers.send(1, start=True)
    behind, _ = callers.send(2)
    callers.model.fail()
    assert isinstance(told[0], InternalError)
    assert isinstance(behind[0], SessionNotFound)
    assert len(callers.table) == callers.loaded.users == 0


def test_what_the_model_refuses_is_told_and_changes_nothing(callers):
    callers.ask(1, start=True)
    callers.model.refusal = InvalidRequest("no")
    with pytest.raises(InvalidRequest):
        callers.ask(2)
    callers.model.refusal = RuntimeError("a mistake of ours")
    with pytest.raises(InternalError):
        callers.ask(2)
    callers.model.refusal = None
    assert callers.ask(2) == 3


def test_a_request_whose_caller_leaves_changes_nothing(callers):
    callers.ask(1, start=True)
    told, cancel = callers.send(10)
    waits, cancel_waiting = callers.send(20)
    last, _ = callers.send(2)
    cancel_waiting()
    cancel()
    callers.model.answer()
    assert (told, waits, last) == ([], [], [3])


def test_after_the_end_the_same_id_may_begin_again_at_once(callers):
    callers.send(1, start=True)
    callers.send(2, end=True)
    lost, _ = callers.send(3)
    again, _ = callers.send(4, start=True)
    for _ in range(3):
        callers.model.answer()
    assert isinstance(lost[0], SessionNotFound)
    assert again == [4]
    assert len(callers.table) == 1


def test_a_sequence_holds_its_model_until_it_ends(callers):
    callers.ask(1, start=True)
    assert callers.loaded.users == 1
    callers.ask(1, end=True)
    assert callers.loaded.users == 0
    callers.ask(1, start=True, end=True)
    assert callers.loaded.users == callers.table.total_bytes == 0


def test_rows_stay_as_many_as_they_were(callers):
    callers.ask(1, start=True, rows=2)
    with pytest.raises(InvalidRequest, match="number of rows must be 2"):
        callers.ask(1, rows=3)
    assert callers.ask(1, rows=2) == 2


def test_a_sequence_that_is_not_used_expires_and_says_so():
    callers = Callers(idle_s=10.0)
    callers.ask(1, start=True)
    callers.now = 9.0
    callers.ask(1)
    callers.now = 18.0
    callers.ask(1)
    callers.now = 28.0
    with pytest.raises(SessionExpired, match="has expired"):
        callers.ask(1)
    assert callers.loaded.users == 0
    assert callers.ask(1, start=True) == 1
    assert callers.metric("stepwire_sequences_ended_total", reason="expired") == 1


def test_a_model_may_say_how_long_its_sequences_wait():
    callers = Callers(Summing(max_idle_s=1.0), idle_s=100.0)
    callers.ask(1, start=True)
    callers.now = 1.5
    callers.table.expire()
    assert len(callers.table) == 0


def test_a_request_under_way_keeps_its_sequence():
    callers = Callers(idle_s=10.0)
    callers.ask(1, start=True)
    told, _ = callers.send(1)
    callers.now = 100.0
    callers.table.expire()
    callers.model.answer()
    assert told == [2]
    assert callers.ask(1) == 3


@pytest.mark.parametrize("limit", ["max_sessions_per_owner", "max_bytes_per_owner"])
def test_a_caller_may_have_only_so_much(limit):
    callers = Callers(**{limit: 2 if limit == "max_sessions_per_owner" else 9})
    callers.ask(1, 1, start=True)
    if limit == "max_sessions_per_owner":
        callers.ask(1, 2, start=True)
    with pytest.raises(Overloaded, match="end some"):
        callers.ask(1, 3, start=True, rows=2)
    assert callers.loaded.users == len(callers.table)
    callers.ask(1, 3, owner="you", start=True)


def test_who_was_not_used_for_long_makes_room():
    callers = Callers(max_sessions=2, evictable_after_s=60.0)
    callers.ask(1, 1, start=True)
    callers.ask(1, 2, start=True)
    with pytest.raises(Overloaded, match="the server holds 2 sequences"):
        callers.ask(1, 3, start=True)
    callers.now = 60.0
    callers.ask(1, 1)
    callers.ask(1, 3, start=True)
    with pytest.raises(SessionEvicted, match="was evicted"):
        callers.ask(1, 2)
    assert callers.ask(1, 1) == 3


steps = st.lists(
    st.tuples(
        st.integers(1, 3),  # id
        st.integers(0, 9),
        st.booleans(),  # start
        st.booleans(),  # end
        st.sampled_from(["answer", "fail", "wait"]),
    ),
    max_size=30,
)


@given(steps)
def test_whatever_happens_each_sequence_is_as_if_it_were_alone(script):
    callers, sums = Callers(), {}
    for id, n, start, end, then in script:
        try:
            told, _ = callers.send(n, id, start=start, end=end)
        except SessionNotFound:
            assert id not in sums
            assert not start
            continue
        assert start or id in sums
        if then == "fail":
            callers.model.fail()
            continue
        callers.model.answer()
        total = n if start else sums[id] + n
        assert told == [total]
        sums[id] = total
        if end:
            del sums[id]
    assert len(callers.table) == callers.loaded.users == len(sums)
    assert callers.table.total_bytes == sum(len(b"%d" % total) for total in sums.values())
