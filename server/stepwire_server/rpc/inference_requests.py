"""From a message of the Open Inference Protocol to the model that answers it, and back."""

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, cast
from weakref import WeakKeyDictionary

import numpy as np

from stepwire_server.engine.tensors import Answer, Asked, Cancel, Tensors, Timing
from stepwire_server.errors import InternalError, InvalidRequest, StepwireError
from stepwire_server.registry.loaded import Lease
from stepwire_server.registry.registry import ModelRegistry
from stepwire_server.registry.signature import (
    AnsweringModel,
    Kind,
    Signature,
    StreamingModel,
    TensorModel,
)
from stepwire_server.registry.statistics import Counters, Statistics
from stepwire_server.registry.tensors.background import in_background
from stepwire_server.rpc.inference_messages import AnswerWriter, Plan, RequestReader, Wanted
from stepwire_server.rpc.inference_parameters import Said
from stepwire_server.rpc.inference_wire import WireRequest
from stepwire_server.sessions.sequence import Key, Request, Start
from stepwire_server.sessions.sequences import SequenceTable

log = logging.getLogger(__name__)


class Reply(Protocol):
    """Where the answers to one request go. Used on the event loop's thread."""

    whole: bool  # it can hold one answer only

    def answer(self, response: bytes) -> None:
        """Takes an answer, a ModelInferResponse."""
        ...

    def fail(self, error: StepwireError) -> None:
        """Takes the reason why there is none; nothing follows."""
        ...

    def end(self) -> None:
        """Learns that nothing follows the answers."""
        ...

    async def room(self) -> None:
        """Waits until another answer may come: a reader may be slow."""
        ...


class _View:
    """One model as requests see it. Does not hold the model itself."""

    __slots__ = ("counters", "kind", "reader", "signature", "version", "writer")

    def __init__(self, signature: Signature, counters: Counters) -> None:
        self.signature = signature
        self.kind = signature.kind
        self.version = signature.version
        self.reader = RequestReader(signature)
        self.writer = AnswerWriter(signature)
        self.counters = counters


class Inference:
    """Begins requests."""

    def __init__(
        self, models: ModelRegistry, sequences: SequenceTable, statistics: Statistics
    ) -> None:
        self._models = models
        self._sequences = sequences
        self._statistics = statistics
        self._views: WeakKeyDictionary[TensorModel, _View] = WeakKeyDictionary()

    @property
    def wakes(self) -> bool:
        """Whether models are loaded when somebody asks for them."""
        return self._models.waking is not None

    async def wake(self, request: WireRequest) -> None:
        """Has the model of a request loaded, if it is not; raises ModelNotFound."""
        await self._models.wake(request.head.model, request.head.version)

    def begin(
        self, request: WireRequest, caller: Callable[[], str], deadline: float | None, reply: Reply
    ) -> Cancel:
        """Begins a request.

        Args:
            request: what is asked for.
            caller: says whose it is: the sequences that it means, the beginnings that it shares.
            deadline: of its call, on the monotonic clock.
            reply: told what comes of it, later or at once.

        Returns:
            What takes it back; the reply is told nothing more then.

        Raises:
            StepwireError: nothing was begun, and the reply will be told nothing.
        """
        head = request.head
        said = head.said
        if said.sequence is not None and not said.start:
            return self._follow(request, Key(caller(), head.model, said.sequence), deadline, reply)
        lease, model = self._models.lease_tensors(head.model, head.version)
        try:
            view = self._view(model)
            _check_sequence(view.signature, said)
            plan = head.plan(view.reader)
            asked = plan.read(request.raw, deadline)
        except BaseException:
            lease.release()
            raise
        if view.kind is Kind.DECOUPLED:
            asked.caller = caller()
            many = _Many(view, plan.wanted, request.id, reply, lease)
            return many.begin(cast(StreamingModel, model), asked, said)
        once = _Once(view, plan, request.id, reply)
        answering = cast(AnsweringModel, model)
        if said.sequence is None:
            return once.begin(answering, asked, lease)
        key, start = Key(caller(), head.model, said.sequence), Start(lease, answering)
        return self._sequences.submit(key, once.step(asked, said, start))

    def _follow(
        self, request: WireRequest, key: Key, deadline: float | None, reply: Reply
    ) -> Cancel:
        """A later request of a sequence: for the model that it began with."""
        head = request.head
        model = self._sequences.reader(key)
        if model is None:
            lease, other = self._models.lease_tensors(head.model, head.version)
            with lease:
                _check_sequence(other.signature, head.said)
            raise self._sequences.why_not(key)
        view = self._view(model)
        if head.version and head.version != view.version:
            allowed = f"be {view.version}, as when the sequence began, or empty"
            raise InvalidRequest.of("model_version", allowed, head.version)
        plan = head.plan(view.reader)
        asked = plan.read(request.raw, deadline)
        once = _Once(view, plan, request.id, reply)
        return self._sequences.submit(key, once.step(asked, head.said, None))

    def _view(self, model: TensorModel) -> _View:
        view = self._views.get(model)
        if view is None:
            signature = model.signature
            counters = self._statistics.of(signature.name, signature.version)
            view = self._views[model] = _View(signature, counters)
        return view


def _check_sequence(signature: Signature, said: Said) -> None:
    """Raises InvalidRequest unless a request names a sequence where the model has them."""
    if signature.kind is Kind.SEQUENCE:
        if said.sequence is None:
            raise InvalidRequest(
                f"inference request to model '{signature.name}' must specify a non-zero or "
                "non-empty sequence_id: its state is kept between requests"
            )
    elif said.sequence is not None:
        allowed = f"be left out: {signature.name} keeps no state between requests"
        raise InvalidRequest.of("sequence_id", allowed, said.sequence)


class _Once:
    """A request that is answered once."""

    __slots__ = ("_began", "_cancel", "_id", "_lease", "_reply", "_rows", "_view", "_wanted")

    def __init__(self, view: _View, plan: Plan, request_id: str, reply: Reply) -> None:
        self._view = view
        self._wanted = plan.wanted
        self._id = request_id
        self._reply = reply
        self._rows = plan.rows
        self._began = time.monotonic()
        self._lease: Lease | None = None  # given back with the answer
        self._cancel: Cancel | None = None

    def begin(self, model: AnsweringModel, asked: Asked, lease: Lease) -> Cancel:
        """Begins a request that belongs to no sequence."""
        self._lease = lease
        try:
            self._cancel = model.begin(asked, self.done, self.fail)
        except BaseException:
            lease.release()
            raise
        return self._leave

    def step(self, asked: Asked, said: Said, start: Start | None) -> Request:
        """The request as one of a sequence."""
        return Request(asked=asked, done=self.done, failed=self.fail, start=start, ends=said.end)

    def _leave(self) -> None:
        assert self._cancel is not None
        assert self._lease is not None
        self._cancel()
        self._lease.release()

    def done(self, answer: Answer) -> None:
        """Sends the answer."""
        if self._lease is not None:
            self._lease.release()
        view, took_s = self._view, time.monotonic() - self._began
        view.counters.succeed(self._rows, took_s, answer.timing)
        self._reply.answer(view.writer.write(answer.tensors, self._wanted, self._id))
        self._reply.end()

    def fail(self, error: StepwireError) -> None:
        """Sends why there is none."""
        if self._lease is not None:
            self._lease.release()
        self._view.counters.fail(time.monotonic() - self._began)
        self._reply.fail(error)


class _Many:
    """A request that is answered any number of times."""

    def __init__(
        self, view: _View, wanted: Wanted, request_id: str, reply: Reply, lease: Lease
    ) -> None:
        self._view = view
        self._wanted = wanted
        self._id = request_id
        self._reply = reply
        self._lease = lease
        self._began = time.monotonic()

    def begin(self, model: StreamingModel, asked: Asked, said: Said) -> Cancel:
        """Begins to answer."""
        cancel = in_background(self._answer(model, asked, said), self._reply.fail)

        def leave() -> None:
            cancel()
            self._lease.release()  # the work may not even have begun

        return leave

    async def _answer(self, model: StreamingModel, asked: Asked, said: Said) -> None:
        try:
            if self._reply.whole:
                await self._together(model, asked)
            else:
                await self._one_by_one(model, asked, said)
        except BaseException:
            self._view.counters.fail(time.monotonic() - self._began)
            raise
        finally:
            self._lease.release()
        self._view.counters.succeed(1, time.monotonic() - self._began, Timing())
        self._reply.end()

    async def _one_by_one(self, model: StreamingModel, asked: Asked, said: Said) -> None:
        view, reply = self._view, self._reply
        async with _pieces(model, asked) as pieces:
            async for tensors in pieces:
                reply.answer(view.writer.write(tensors, self._wanted, self._id, more=True))
                await reply.room()
        if said.empty_final:
            reply.answer(view.writer.write_end(self._id))

    async def _together(self, model: StreamingModel, asked: Asked) -> None:
        """All answers as one: each output's pieces one after the other on the first axis."""
        _ask_for_all_at_once(self._view.signature, asked)
        async with _pieces(model, asked) as pieces:
            tensors = _joined([each async for each in pieces], asked.wanted)
        self._reply.answer(self._view.writer.write(tensors, self._wanted, self._id))


def _pieces(model: StreamingModel, asked: Asked) -> Any:
    """The answers of a model, in a block; leaving it takes back what was not done."""
    return aclosing(cast(AsyncGenerator[Tensors, None], model.stream(asked)))


def _ask_for_all_at_once(signature: Signature, asked: Asked) -> None:
    """Clients of text generators say `stream` = false where they want the text in one piece."""
    for spec in signature.inputs:
        if spec.name == "stream" and spec.dtype == "bool" and spec.optional:
            asked.tensors.setdefault(spec.name, np.zeros(spec.shape, np.bool_))


def _joined(pieces: Sequence[Tensors], names: Sequence[str]) -> Tensors:
    if not pieces:
        raise InternalError("the model gave no answer")
    if len(pieces) == 1:
        return pieces[0]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}
