"""Random walks over the wire, beside the plainest model of what sessions are.

The model keeps for each session the state that `Alone` is in, and what was answered. Nothing
that one session goes through may show in another.
"""

import queue
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from e2e.conftest import server_config
from stepwire.v1 import sessions_pb2 as sessions
from stepwire.v1 import sessions_pb2_grpc, streaming_pb2_grpc
from stepwire.v1 import streaming_pb2 as streaming
from stepwire_server.config import SessionLimits
from support.background import background
from support.calls import error_info
from support.subjects import Subject, subjects_of, told_of

IDLE_S = 100.0
WINDOW, KEPT = 2, 2
OWNERS = ("me", "you")
OUTPUTS = {
    "logits": streaming.Outputs(logits=True, every_step=True),
    "values": streaming.Outputs(values=True, every_step=True),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose time is what the test says it is."""
    zoo = tmp_path_factory.mktemp("random") / "zoo"
    subjects = {subject.name: subject for subject in subjects_of(zoo)}
    limits = SessionLimits(idle_s=IDLE_S, lifetime_s=1e9)
    with background(server_config(zoo, sessions=limits)) as (app, call):
        clock = SimpleNamespace(now=0.0)
        app.desk._table._now = lambda: clock.now
        with grpc.insecure_channel(f"127.0.0.1:{app.grpc_port}") as channel:
            yield SimpleNamespace(
                app=app,
                call=call,
                clock=clock,
                subjects=subjects,
                desk=sessions_pb2_grpc.SessionServiceStub(channel),
                steps=streaming_pb2_grpc.StreamingServiceStub(channel),
            )


class Dialogue:
    """One call of Step, message by message."""

    def __init__(self, server, owner):
        self._requests = queue.SimpleQueue()
        self.call = server.steps.Step(
            iter(self._requests.get, None), metadata=told_by(owner), timeout=20
        )

    def send(self, session_id, **action):
        self._requests.put(streaming.StepRequest(session_id=session_id, **action))

    def read(self):
        return next(self.call)

    def end(self):
        """Says that nothing more comes; whatever was not read was sent unasked."""
        self._requests.put(None)
        assert list(self.call) == []


@dataclass(eq=False)
class Known:
    """What the model knows of one session."""

    id: str
    owner: str
    subject: Subject
    state: Any
    step: int = 0
    epoch: int = 0
    answers: list[Any] = field(default_factory=list)  # first step, inputs, outputs, flags
    snapshots: dict[int, Any] = field(default_factory=dict)
    used_at: float = 0.0
    stream: Dialogue | None = None  # that has it
    stream_epoch: int = 0
    former: list[Any] = field(default_factory=list)  # streams that had it, with their epochs


def told_by(owner):
    return (("x-stepwire-caller", owner),)


def inputs_message(subject, values, **fields):
    kind = "values" if subject.outputs.values else "logits"
    inputs = streaming.Inputs(outputs=OUTPUTS[kind])
    for name, value in fields.items():
        setattr(inputs, name, value)
    if isinstance(values[0], list):
        inputs.features.values.extend(number for row in values for number in row)
    else:
        inputs.tokens.ids.extend(values)
    return inputs


some = st.integers(0, 10**6)


class Callers(RuleBasedStateMachine):
    """Two callers, their sessions, and their streams."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.live: list[Known] = []
        self.gone: list[tuple[Known, str]] = []  # and why
        self.tokens: list[tuple[bytes, Known, Any, int]] = []

    def teardown(self):
        for one in list(self.live):
            self._end(one)
            self._on(one, "CloseSession", sessions.CloseSessionRequest)

    # What goes over the wire.

    def _call(self, owner, method, request):
        """The answer, or the reason of the refusal."""
        try:
            return getattr(self.server.desk, method)(request, metadata=told_by(owner))
        except grpc.RpcError as error:
            return error_info(error).reason

    def _on(self, one, method, kind, owner=None, **fields):
        one.used_at = self.server.clock.now if owner in (None, one.owner) else one.used_at
        return self._call(owner or one.owner, method, kind(session_id=one.id, **fields))

    def _opened(self, owner, subject, state, step, **origin):
        request = sessions.OpenSessionRequest(window=WINDOW, max_snapshots=KEPT, **origin)
        answer = self._call(owner, "OpenSession", request)
        assert not isinstance(answer, str), answer
        assert (answer.session.next_step, answer.session.epoch) == (step, 0)
        one = Known(answer.session.id, owner, subject, state, step)
        one.used_at = self.server.clock.now
        self.live.append(one)

    def _end(self, one):
        """Its streams say goodbye, and have heard nothing that they did not ask for."""
        for stream, _ in [*one.former, (one.stream, 0)]:
            if stream is not None:
                stream.end()
        one.former, one.stream = [], None

    def _send(self, one, first, values, **fields):
        """Sends inputs on the stream that has the session."""
        one.used_at = self.server.clock.now
        fields.setdefault("epoch", one.epoch)
        inputs = inputs_message(one.subject, values, first_step=first, **fields)
        one.stream.send(one.id, inputs=inputs)

    def _refused(self, stream):
        answer = stream.read()
        assert answer.WhichOneof("result") == "error", answer
        return answer.error.reason

    def _check_told(self, one, answer, wanted, repeated=False):
        assert answer.WhichOneof("result") == "taken", answer
        taken, (first, values, told, _) = answer.taken, wanted
        assert answer.session_id == one.id
        assert (taken.first_step, taken.count) == (first, len(values))
        assert taken.repeated_answer == repeated
        assert len(taken.outputs) == len(told)
        for ours, theirs in zip(taken.outputs, told, strict=True):
            for name, value in told_of(one.subject, theirs).items():
                found = getattr(ours, name)
                assert (found if name == "surprise" else tuple(found)) == value

    def _take(self, one, seed, snapshot, export=False):
        """Sends the next inputs; gives what must be answered, and takes them in the model."""
        values, first = one.subject.draw(random.Random(seed)), one.step
        flags = {"snapshot": snapshot, "export_state": export}
        self._send(one, first, values, **flags)
        told, following = one.subject.alone.run(values, one.state)
        if snapshot:
            one.snapshots.pop(first, None)
            one.snapshots[first] = one.state
            one.snapshots = dict(list(one.snapshots.items())[-KEPT:])
        one.state, one.step = following, first + len(values)
        one.answers = [*one.answers, (first, values, told, flags)][-WINDOW:]
        return one.answers[-1]

    def _any(self, pick):
        return self.live[pick % len(self.live)]

    def _attached(self, pick):
        """A session that a stream has, by its present epoch."""
        one = self._any(pick)
        if one.stream is None or one.stream_epoch != one.epoch:
            self.attach(pick)
        return one

    # What callers do.

    @rule(owner=st.sampled_from(OWNERS), pick=some)
    def open(self, owner, pick):
        subject = list(self.server.subjects.values())[pick % len(self.server.subjects)]
        self._opened(owner, subject, subject.alone.start, 0, model=subject.name)

    @precondition(lambda self: self.live)
    @rule(pick=some)
    def fork(self, pick):
        one = self._any(pick)
        one.used_at = self.server.clock.now
        self._opened(one.owner, one.subject, one.state, one.step, session_id=one.id)

    @precondition(lambda self: self.live)
    @rule(pick=some)
    def export(self, pick):
        one = self._any(pick)
        answer = self._on(one, "ExportSession", sessions.ExportSessionRequest)
        assert answer.next_step == one.step
        self.tokens.append((answer.state_token, one, one.state, one.step))

    @precondition(lambda self: self.tokens)
    @rule(pick=some)
    def resume(self, pick):
        token, one, state, step = self.tokens[pick % len(self.tokens)]
        self._opened(one.owner, one.subject, state, step, state_token=token)

    @precondition(lambda self: self.live)
    @rule(pick=some)
    def attach(self, pick):
        one = self._any(pick)
        if one.stream is not None:
            one.former.append((one.stream, one.stream_epoch))
        one.stream = Dialogue(self.server, one.owner)
        one.stream.send(one.id, attach=streaming.Attach())
        answer = one.stream.read().attached
        one.epoch += 1
        one.used_at = self.server.clock.now
        one.stream_epoch = one.epoch
        assert (answer.epoch, answer.next_step) == (one.epoch, one.step)

    @precondition(lambda self: self.live)
    @rule(pick=some, seed=some, snapshot=st.booleans(), export=st.booleans())
    def step(self, pick, seed, snapshot, export):
        one = self._attached(pick)
        wanted = self._take(one, seed, snapshot, export)
        answer = one.stream.read()
        self._check_told(one, answer, wanted)
        if export:
            self.tokens.append((answer.taken.state_token, one, one.state, one.step))

    @precondition(lambda self: len(self.live) > 1)
    @rule(picks=st.lists(some, min_size=2, max_size=6), seed=some)
    def step_together(self, picks, seed):
        """Messages ahead of their answers, of one session or of several, in one batch."""
        sent = []
        for number, pick in enumerate(picks):
            one = self._attached(pick)
            if [each for each, _ in sent].count(one) < WINDOW:
                sent.append((one, self._take(one, seed + number, snapshot=False)))
        for one, wanted in sent:
            self._check_told(one, one.stream.read(), wanted)

    @precondition(lambda self: self.live)
    @rule(pick=some, back=st.integers(1, WINDOW))
    def repeat(self, pick, back):
        one = self._attached(pick)
        if len(one.answers) >= back:
            first, values, _, flags = one.answers[-back]
            self._send(one, first, values, **flags)
            self._check_told(one, one.stream.read(), one.answers[-back], repeated=True)

    @precondition(lambda self: self.live)
    @rule(pick=some, lie=st.sampled_from(("other", "gap", "no epoch", "too many", "nothing")))
    def step_wrongly(self, pick, lie):
        one = self._attached(pick)
        values = one.subject.draw(random.Random(pick))
        wrong = {"first": one.step, "values": values, "reason": "INVALID_REQUEST"}
        if lie == "other" and one.answers:
            first, given, *_ = one.answers[-1]
            wrong |= {"first": first, "values": [*given, *given], "reason": "STEP_TAKEN"}
        elif lie == "gap":
            wrong |= {"first": one.step + 1 + pick % 9, "reason": "STEP_SKIPPED"}
        elif lie == "no epoch":
            wrong |= {"epoch": one.epoch + 1, "reason": "STALE_EPOCH"}
        elif lie == "too many":
            wrong |= {"values": values * 1000}
        else:
            bad = [[float("nan")] * 2] if isinstance(values[0], list) else [10**6]
            wrong |= {"values": [*values, *bad]}
        reason = wrong.pop("reason")
        self._send(one, wrong.pop("first"), wrong.pop("values"), **wrong)
        assert self._refused(one.stream) == reason

    @precondition(lambda self: any(one.former for one in self.live))
    @rule(pick=some)
    def step_from_elsewhere(self, pick):
        """An earlier stream of the session learns that it has it no longer."""
        one = next(one for one in self.live if one.former)
        stream, epoch = one.former[pick % len(one.former)]
        one.used_at = self.server.clock.now
        inputs = inputs_message(
            one.subject, one.subject.draw(random.Random(pick)), first_step=one.step, epoch=epoch
        )
        stream.send(one.id, inputs=inputs)
        assert self._refused(stream) == "STALE_EPOCH"

    @precondition(lambda self: self.live)
    @rule(pick=some)
    def roll_back(self, pick):
        one = self._any(pick)
        kept = sorted(one.snapshots)
        step = kept[pick % len(kept)] if kept else pick
        answer = self._on(one, "RollBackSession", sessions.RollBackSessionRequest, step=step)
        if not kept:
            assert answer == "ROLLBACK_UNAVAILABLE"
            return
        one.step, one.state, one.epoch = step, one.snapshots[step], one.epoch + 1
        one.answers = [each for each in one.answers if each[0] + len(each[1]) <= step]
        one.snapshots = {n: state for n, state in one.snapshots.items() if n <= step}
        assert (answer.session.next_step, answer.session.epoch) == (one.step, one.epoch)

    @precondition(lambda self: self.live)
    @rule(pick=some)
    def close(self, pick):
        one = self._any(pick)
        self._on(one, "CloseSession", sessions.CloseSessionRequest)
        self._end(one)
        self.live.remove(one)
        self.gone.append((one, "SESSION_NOT_FOUND"))

    @precondition(lambda self: self.live)
    @rule(share=st.sampled_from((0.3, 0.7, 1.0)), asked_first=st.booleans())
    def expire(self, share, asked_first):
        """Time goes by; what was not used for long enough is gone, and its stream is told."""
        clock = self.server.clock
        clock.now += share * IDLE_S
        over = [one for one in self.live if clock.now - one.used_at >= IDLE_S]
        if over and asked_first:
            export = sessions.ExportSessionRequest(session_id=over[0].id)
            assert self._call(over[0].owner, "ExportSession", export) == "SESSION_EXPIRED"
        self.server.call(self.server.app.desk.expire)
        for one in over:
            if one.stream is not None:
                ending = one.stream.read().ending
                assert ending.reason == "SESSION_EXPIRED"
                self.tokens.append((ending.state_token, one, one.state, one.step))
            self._end(one)
            self.live.remove(one)
            self.gone.append((one, "SESSION_EXPIRED"))

    @precondition(lambda self: self.gone)
    @rule(pick=some)
    def use_what_is_gone(self, pick):
        one, why = self.gone[pick % len(self.gone)]
        answer = self._on(one, "ExportSession", sessions.ExportSessionRequest)
        assert answer == why
        stream = Dialogue(self.server, one.owner)
        stream.send(one.id, attach=streaming.Attach())
        assert self._refused(stream) == why
        stream.end()

    @precondition(lambda self: self.live)
    @rule(pick=some, what=st.sampled_from(("Export", "RollBack", "Close", "copy", "token", "step")))
    def trespass(self, pick, what):
        """The other caller is told that there is no such session."""
        one = self._any(pick)
        other = OWNERS[1 - OWNERS.index(one.owner)]
        if what == "step":
            stream = Dialogue(self.server, other)
            inputs = inputs_message(one.subject, one.subject.draw(random.Random(pick)))
            for action in ({"attach": streaming.Attach()}, {"inputs": inputs}):
                stream.send(one.id, **action)
                assert self._refused(stream) == "SESSION_NOT_FOUND"
            stream.end()
        elif what == "copy":
            request = sessions.OpenSessionRequest(session_id=one.id)
            assert self._call(other, "OpenSession", request) == "SESSION_NOT_FOUND"
        elif what == "token":
            one.used_at = self.server.clock.now
            request = sessions.ExportSessionRequest(session_id=one.id)
            token = self._call(one.owner, "ExportSession", request).state_token
            refused = self._call(
                other, "OpenSession", sessions.OpenSessionRequest(state_token=token)
            )
            assert refused == "STATE_TOKEN_OTHER_OWNER"
        else:
            kind = getattr(sessions, f"{what}SessionRequest")
            assert self._on(one, f"{what}Session", kind, other) == "SESSION_NOT_FOUND"

    @invariant()
    def each_caller_sees_its_own(self):
        for owner in OWNERS:
            listed = self._call(owner, "ListSessions", sessions.ListSessionsRequest()).sessions
            found = [(one.id, one.next_step, one.epoch, list(one.snapshots)) for one in listed]
            known = [one for one in self.live if one.owner == owner]
            assert found == [(o.id, o.step, o.epoch, list(o.snapshots)) for o in known]


def test_sessions_are_what_the_plainest_model_of_them_is(server):
    wanted = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Callers(server), settings=wanted)
    # Every stream and every session of theirs is gone by now.
    registry = server.app._metrics.registry
    for state in ("live", "idle"):
        assert registry.get_sample_value("stepwire_sessions", {"state": state}) == 0
    assert registry.get_sample_value("stepwire_session_bytes") == 0
