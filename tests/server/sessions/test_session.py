"""Which steps a session takes, repeats or refuses."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stepwire_server.errors import (
    Overloaded,
    RollbackUnavailable,
    StaleEpoch,
    StepSkipped,
    StepTaken,
)
from stepwire_server.sessions.session import Answer, Pending, Session


def a_session(**fields):
    given = {"id": "s", "owner": "", "model": "m", "version": "1", "packed": b"", "next_step": 0}
    return Session(**given, opened_at=0.0, used_at=0.0, **fields)


def message(first, inputs, **fields):
    return Pending(first, len(inputs), inputs.encode(), **fields)


def take(session, first, inputs, **fields):
    """Takes steps of a model whose state is its history, and whose answer is its end."""
    pending = session.offer(session.epoch, message(first, inputs, **fields))
    if isinstance(pending, Answer):
        return pending.content
    packed = session.packed + inputs.encode()
    session.commit(pending, packed, packed[-3:])
    return packed[-3:]


def test_a_repeated_message_gets_its_answer_and_takes_no_step():
    session = a_session()
    first = take(session, 0, "ab")
    assert take(session, 0, "ab") == first
    assert (session.packed, session.next_step) == (b"ab", 2)


def test_only_the_answers_of_the_window_are_kept():
    session = a_session(window=2)
    for step, inputs in enumerate("abc"):
        take(session, step, inputs)
    assert take(session, 1, "b") == b"ab"
    with pytest.raises(StepTaken, match="not kept"):
        take(session, 0, "a")


def test_the_same_step_with_other_inputs_is_refused():
    session = a_session()
    take(session, 0, "a")
    with pytest.raises(StepTaken, match="other inputs"):
        take(session, 0, "b")


def test_a_gap_is_refused_and_says_which_step_is_next():
    session = a_session()
    take(session, 0, "ab")
    with pytest.raises(StepSkipped) as refused:
        take(session, 3, "c")
    assert refused.value.metadata == {"next_step": "2"}


def test_messages_may_be_sent_ahead_within_the_window():
    session = a_session(window=2)
    first = session.offer(0, message(0, "ab"))
    second = session.offer(0, message(2, "c"))
    with pytest.raises(Overloaded):
        session.offer(0, message(3, "d"))
    assert session.offer(0, message(0, "ab")) is first
    session.commit(first, b"ab", b"ab")
    session.commit(second, b"abc", b"abc")
    assert (session.packed, session.next_step) == (b"abc", 3)


def test_a_stream_that_lost_the_session_takes_no_step():
    session = a_session()
    session.attach()
    stale = session.epoch
    session.attach()
    with pytest.raises(StaleEpoch) as refused:
        session.offer(stale, message(0, "a"))
    assert refused.value.metadata == {"epoch": "2"}


def test_a_failed_message_takes_those_behind_it_along():
    session = a_session(window=3)
    first, second, third = (session.offer(0, message(n, "x")) for n in range(3))
    assert session.give_up(second) == (third,)
    assert session.pending == (first,)


def test_a_rollback_goes_back_and_makes_what_was_sent_stale():
    session = a_session(window=4, max_snapshots=2)
    take(session, 0, "ab")
    take(session, 2, "c", snapshot=True)
    take(session, 3, "d")
    stale = session.epoch
    session.roll_back(2)
    assert (session.packed, session.next_step) == (b"ab", 2)
    with pytest.raises(StaleEpoch):
        session.offer(stale, message(4, "e"))
    assert take(session, 2, "x") == b"abx"


def test_a_rollback_to_where_no_snapshot_is_names_those_that_are():
    session = a_session(max_snapshots=1)
    take(session, 0, "a", snapshot=True)
    take(session, 1, "b", snapshot=True)
    with pytest.raises(RollbackUnavailable, match="there are: 1"):
        session.roll_back(0)


class Callers(RuleBasedStateMachine):
    """A session beside the plainest model of it: the list of inputs that count."""

    def __init__(self):
        super().__init__()
        self.session = a_session(window=3, max_snapshots=3)
        self.history = ""
        self.sent = {}  # the inputs of each message that was taken, by its first step
        self.snapshots = {}

    @rule(inputs=st.text("abc", min_size=1, max_size=4), snapshot=st.booleans())
    def step(self, inputs, snapshot):
        first = len(self.history)
        if snapshot:
            self.snapshots.pop(first, None)
            self.snapshots[first] = self.history
            self.snapshots = dict(list(self.snapshots.items())[-3:])
        answer = take(self.session, first, inputs, snapshot=snapshot)
        self.history += inputs
        self.sent[first] = inputs
        assert answer == self.history.encode()[-3:]

    @precondition(lambda self: self.sent)
    @rule(back=st.integers(1, 6))
    def repeat(self, back):
        numbers = list(self.sent)[-back:]
        first = numbers[0]
        try:
            answer = take(self.session, first, self.sent[first])
        except StepTaken:
            assert back > 3 or len(self.session.answers) < back
        else:
            assert answer == self.history[: first + len(self.sent[first])].encode()[-3:]

    @precondition(lambda self: self.sent)
    @rule()
    def lie(self):
        first, inputs = list(self.sent.items())[-1]
        with pytest.raises(StepTaken):
            take(self.session, first, inputs + "x")

    @rule(ahead=st.integers(1, 5))
    def skip(self, ahead):
        with pytest.raises(StepSkipped):
            take(self.session, len(self.history) + ahead, "a")

    @rule()
    def attach(self):
        stale = self.session.epoch
        self.session.attach()
        with pytest.raises(StaleEpoch):
            self.session.offer(stale, message(len(self.history), "a"))

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def roll_back(self, data):
        step = data.draw(st.sampled_from(sorted(self.snapshots)))
        stale = self.session.epoch
        self.session.roll_back(step)
        self.history = self.snapshots[step]
        self.snapshots = {n: text for n, text in self.snapshots.items() if n <= step}
        self.sent = {n: text for n, text in self.sent.items() if n < step}
        with pytest.raises(StaleEpoch):
            self.session.offer(stale, message(step, "a"))

    @invariant()
    def agrees(self):
        assert self.session.packed == self.history.encode()
        assert self.session.next_step == len(self.history)
        assert dict(self.session.snapshots) == {
            step: text.encode() for step, text in self.snapshots.items()
        }


TestCallers = Callers.TestCase
TestCallers.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
