"""Where sessions are opened, stepped, exported and ended.

Lives on the event loop's thread. Steps of one session are taken one message after the other,
those of different sessions side by side.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from stepwire_server.errors import (
    Overloaded,
    SessionExpired,
    SessionNotFound,
    ShuttingDown,
    StaleEpoch,
    StateTokenOtherModel,
    StepSkipped,
    StepwireError,
)
from stepwire_server.metrics import SessionMetrics
from stepwire_server.registry.loaded import Lease, LoadedModel
from stepwire_server.registry.origin import Origin
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.registry.stepping import Before, Inputs, Stepper, Steps
from stepwire_server.registry.telling import Told, Wanted
from stepwire_server.sessions import opening, tokens
from stepwire_server.sessions.keys import KeyRing
from stepwire_server.sessions.opening import Begin, Opening
from stepwire_server.sessions.session import Answer, Pending, Session
from stepwire_server.sessions.table import SessionTable

log = logging.getLogger(__name__)


class Stream(Protocol):
    """Who has a session, and is told what happens to it."""

    def answer(self, session: Session, content: bytes, *, repeated: bool) -> None:
        """Steps were taken; `content` is what `write` made of them."""
        ...

    def refuse(self, session: Session, first_step: int, error: StepwireError) -> None:
        """Steps were not taken."""
        ...

    def ending(self, session: Session, reason: str, token: bytes) -> None:
        """The session ends, or can be stepped here no longer."""
        ...

    def end(self) -> None:
        """Nothing more comes of any session."""
        ...


class Taken(NamedTuple):
    """Steps that were taken."""

    session_id: str
    first_step: int
    steps: int
    told: Sequence[Told]
    token: bytes
    by: Origin | None  # who took them, of a session that follows its model


Write = Callable[[Taken], bytes]


class Message(NamedTuple):
    """Inputs as a stream gave them."""

    epoch: int
    first_step: int
    inputs: Inputs
    wanted: Wanted
    digest: bytes
    snapshot: bool = False
    export: bool = False


class _Work(Pending):
    """A message with what it takes to do it."""

    def __init__(self, message: Message, stream: Stream) -> None:
        super().__init__(message.first_step, message.inputs.count, message.digest, message.snapshot)
        self.message = message
        self.askers = [stream]  # each message has one answer: a stream stands for each of its own
        self.under_way: Steps | None = None
        self.by: Origin | None = None  # who takes its steps


class Desk:
    """Everything that can be done with sessions."""

    def __init__(
        self,
        models: ModelRegistry,
        table: SessionTable,
        ring: KeyRing,
        metrics: SessionMetrics,
        write: Write,
        is_quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        """Makes a desk.

        Args:
            models: whose states sessions are.
            table: of the sessions.
            ring: seals tokens.
            metrics: of sessions.
            write: how an answer is kept, and sent.
            is_quiet: whether at most one call is under way.
        """
        self._models = models
        self._table = table
        self._ring = ring
        self._metrics = metrics
        self._write = write
        self._is_quiet = is_quiet
        self._streams: dict[str, Stream] = {}  # by session
        self._gathered: set[Stepper] | None = None  # models whose steps wait for each other
        self.limits = table.limits
        metrics.attached.set_function(lambda: len(self._streams))
        metrics.idle.set_function(lambda: len(table) - len(self._streams))
        metrics.size_bytes.set_function(lambda: table.total_bytes)

    def source_texts(self, session: Session) -> list[str]:
        """The texts of the tokens that a session looks at."""
        return self.stepper(session).source_texts(session.source) if session.source else []

    async def open(self, owner: str, wanted: Opening) -> Session:
        """Opens a session; raises what OpenSession documents."""
        if wanted.copied is not None:
            other = self._table.find(owner, wanted.copied)
            opening.check_same(wanted, other.model, other.version)
            return self._open(
                owner, opening.copied(other, wanted), Lease(_model_of(other)), "session"
            )
        if wanted.token is not None:
            token = tokens.unseal(self._ring, tokens.STATE, wanted.token, owner, time.time())
            if wanted.model and wanted.model != token.head.model:
                raise StateTokenOtherModel(
                    f"the state token is of model {token.head.model}, not of {wanted.model}"
                )
            version = wanted.version or token.head.version
            lease = await self._models.hold(token.head.model, version)
            return self._open(
                owner, lambda stepper: opening.thawed(token, stepper, wanted), lease, "token"
            )
        lease = await self._models.hold(wanted.model, wanted.version)
        try:
            source = await lease.loaded.needed_stepper.read_source(wanted.source)
        except BaseException:
            lease.release()
            raise
        return self._open(
            owner, lambda stepper: opening.fresh(stepper, source, wanted), lease, "start"
        )

    def _open(self, owner: str, begin: Begin, lease: Lease, origin: str) -> Session:
        """Opens a session of a model.

        Args:
            owner: whose it is.
            begin: gives what it begins with.
            lease: on the model; the session has it from now on.
            origin: what it begins with, for the metrics.
        """
        before = self._table.evicted
        try:
            session = self._table.open(owner, begin(lease.loaded.needed_stepper))
        except BaseException:
            lease.release()
            raise
        session.lease = lease
        self._metrics.ended.labels("evicted").inc(self._table.evicted - before)
        self._metrics.opened.labels(origin).inc()
        return session

    def find(self, owner: str, session_id: str) -> Session:
        """Finds a session of a caller; raises what SessionService documents."""
        return self._table.find(owner, session_id)

    def stepper(self, session: Session) -> Stepper:
        """What steps a session now."""
        return _model_of(session).needed_stepper

    def of_owner(self, owner: str) -> list[Session]:
        """The sessions of a caller, oldest first."""
        return self._table.of_owner(owner)

    def seconds_left(self, session: Session) -> tuple[float, float]:
        """Until it expires if it is not used, and whatever happens."""
        return self._table.idle_s_left(session), self._table.lifetime_s_left(session)

    def export(self, owner: str, session_id: str, *, half: bool) -> tuple[bytes, int]:
        """Seals a session's state into a token; gives it and the number of the next step."""
        session = self.find(owner, session_id)
        return self._token(session, half=half), session.next_step

    def roll_back(self, owner: str, session_id: str, step: int) -> Session:
        """Takes a session back to a snapshot."""
        session = self.find(owner, session_id)
        for pending in session.roll_back(step):
            self._drop(session, pending, StaleEpoch("the session was rolled back"))
        self._table.count(session)
        return session

    def close(self, owner: str, session_id: str) -> None:
        """Ends a session."""
        session = self.find(owner, session_id)
        for pending in session.pending:
            self._drop(session, pending, SessionNotFound("the session was closed"))
        session.pending = ()
        self._streams.pop(session.id, None)
        self._table.close(session)
        self._metrics.ended.labels("closed").inc()

    def attach(self, owner: str, session_id: str, stream: Stream) -> Session:
        """Gives a session to a stream."""
        session = self.find(owner, session_id)
        session.attach()
        self._streams[session.id] = stream
        return session

    def detach(self, stream: Stream) -> None:
        """Learns that a stream has ended; what it sent goes on."""
        for session_id in [i for i, other in self._streams.items() if other is stream]:
            del self._streams[session_id]
            session = self._table.peek(session_id)
            if session is not None:
                session.attached = False

    def is_busy(self, stream: Stream) -> bool:
        """Whether a stream has answers to come."""
        mine = (self._table.peek(i) for i, other in self._streams.items() if other is stream)
        pending = (work for session in mine if session is not None for work in session.pending)
        return any(isinstance(work, _Work) and stream in work.askers for work in pending)

    def step(self, session: Session, stream: Stream, message: Message) -> None:
        """Takes steps, or repeats what they gave; the stream is told.

        Raises:
            StepwireError: as StreamingService documents; nothing was taken in.
        """
        work = _Work(message, stream)
        found = session.offer(message.epoch, work)
        if isinstance(found, Answer):
            self._metrics.repeated.inc()
            stream.answer(session, found.content, repeated=True)
        elif found is not work:
            assert isinstance(found, _Work)
            if len(found.askers) > self.limits.max_window:
                raise Overloaded("the message was repeated too often", retry_after_s=0.05)
            self._metrics.repeated.inc()
            found.askers.append(stream)  # the answer is on the way
        elif session.pending[0] is work:
            self._begin(session, work)

    def gather(self) -> None:
        """Lets steps wait for each other until `scatter`; do not await in between."""
        self._gathered = set()

    def scatter(self) -> None:
        """Takes the steps that have waited, in one batch for each model."""
        gathered, self._gathered = self._gathered or (), None
        for stepper in gathered:
            stepper.let_go()

    def move_on(self) -> None:
        """Moves idle sessions that follow their models, so that old ones can end."""
        if self._models.is_any_retired:
            for session in self._table:
                if session.follows is not None and not session.pending:
                    self._follow(session)

    def expire(self) -> None:
        """Ends the sessions whose time is over."""
        for session in self._table.expired():
            self._tell_ending(session, SessionExpired.reason)
            self._table.end(session, SessionExpired)
            self._metrics.ended.labels("expired").inc()

    def drain(self) -> None:
        """Tells every stream to go elsewhere, with a token to go on from."""
        streams = set(self._streams.values())
        for session_id in list(self._streams):
            session = self._table.peek(session_id)
            if session is not None:
                self._tell_ending(session, ShuttingDown.reason)
        for stream in streams:
            stream.end()

    def _tell_ending(self, session: Session, reason: str) -> None:
        stream = self._streams.pop(session.id, None)
        if stream is not None:
            token = b""
            try:
                token = self._token(session)
            except StepwireError:  # its model is gone
                log.warning("no last token", extra={"model": session.model})
            stream.ending(session, reason, token)

    def _begin(self, session: Session, work: _Work) -> None:
        def done(told: Sequence[Told], packed: bytes) -> None:
            self._commit(session, work, told, packed)

        def failed(error: StepwireError) -> None:
            self._fail(session, work, error)

        message = work.message
        try:
            if session.follows is not None:
                self._follow(session)
            stepper = self.stepper(session)
            work.by = stepper.origin
            if self._gathered is not None and stepper not in self._gathered:
                self._gathered.add(stepper)
                stepper.hold()
            work.under_way = stepper.begin(
                message.inputs,
                message.wanted,
                Before(session.packed, session.source, self._is_alone(session)),
                done,
                failed,
            )
        except StepwireError as error:
            self._fail(session, work, error)

    def _follow(self, session: Session) -> None:
        """Moves a session to what took its model's place, if its state fits there."""
        before = _model_of(session)
        following = self._models.current(session.model, session.follows or "")
        if following is None or following is before or not following.takes_over(before):
            return
        assert session.lease is not None
        former, session.lease = session.lease, Lease(following)
        origin = following.needed_stepper.origin
        # What it keeps is not what the new model would have kept, unless that is the old one.
        session.inexact |= origin.numerics != before.needed_stepper.origin.numerics
        session.version = origin.version
        former.release()

    def _is_alone(self, session: Session) -> bool:
        """Whether no other session and no other call is there, and no other message of this."""
        return len(self._streams) == 1 == len(session.pending) and self._is_quiet()

    def _commit(self, session: Session, work: _Work, told: Sequence[Told], packed: bytes) -> None:
        if work not in session.pending:
            return  # rolled back or closed meanwhile
        message = work.message
        token = b""
        if message.export:
            token = self._token(session, packed, message.first_step + work.steps)
        by = work.by if session.follows is not None else None
        content = self._write(Taken(session.id, message.first_step, work.steps, told, token, by))
        session.commit(work, packed, content)
        self._metrics.steps.inc(work.steps)
        self._table.count(session)
        # Whoever has attached meanwhile learns nothing that it has not asked for.
        for place, stream in enumerate(self._askers(session, work)):
            stream.answer(session, content, repeated=place > 0)
        if session.pending:
            following = session.pending[0]
            assert isinstance(following, _Work)
            self._begin(session, following)

    def _fail(self, session: Session, work: _Work, error: StepwireError) -> None:
        if work not in session.pending:
            return
        behind = session.give_up(work)
        self._refuse(session, work, error)
        for pending in behind:
            skipped = StepSkipped(
                f"step {work.first_step} before it failed", next_step=str(session.next_step)
            )
            self._refuse(session, pending, skipped)

    def _refuse(self, session: Session, pending: Pending, error: StepwireError) -> None:
        for stream in self._askers(session, pending):
            stream.refuse(session, pending.first_step, error)

    def _askers(self, session: Session, pending: Pending) -> list[Stream]:
        """Who waits for the answer to a message, and still has the session."""
        assert isinstance(pending, _Work)
        holder = self._streams.get(session.id)
        return [stream for stream in pending.askers if stream is holder]

    def _drop(self, session: Session, pending: Pending, why: StepwireError) -> None:
        if isinstance(pending, _Work) and pending.under_way is not None:
            pending.under_way.cancel()
        self._refuse(session, pending, why)

    def _token(
        self,
        session: Session,
        packed: bytes | None = None,
        next_step: int | None = None,
        *,
        half: bool = False,
    ) -> bytes:
        stepper = self.stepper(session)
        head = tokens.TokenHead(
            model=session.model,
            version=session.version,
            digest=stepper.origin.digest,
            numerics=stepper.origin.numerics,
            owner=session.owner,
            next_step=session.next_step if next_step is None else next_step,
            ends_at=int(time.time() + self.limits.token_s),
            half=half,
            inexact=session.inexact,
            source=session.source,
        )
        state = session.packed if packed is None else packed
        return tokens.seal_state(self._ring, head, state, stepper.origin.layout)


def _model_of(session: Session) -> LoadedModel:
    assert session.lease is not None
    return session.lease.loaded
