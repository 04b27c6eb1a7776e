"""What every call passes through: its id, its metrics, and its errors."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from prometheus_client import Counter, Histogram

from stepwire_server import logs
from stepwire_server.errors import InternalError, InvalidRequest, ShuttingDown, StepwireError
from stepwire_server.metrics import Metrics
from stepwire_server.rpc.status import STATUS_OF, to_status

log = logging.getLogger(__name__)

_OURS = ("/stepwire.", "/inference.")
REQUEST_ID = "x-request-id"  # metadata in which a caller may name its call


class _Unreadable:
    """Stands in for a request that is no message of the contract."""


class Calls(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stub only
    """Wraps each method once: counts it, times it, and turns errors into their status.

    What we did not foresee goes to the log with its traceback and leaves as a bare
    INTERNAL with the call's id.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._wrapped: dict[str, Any] = {}
        self._active = _Active()

    def are_quiet(self) -> bool:
        """Whether at most one call is under way."""
        return self._active.is_quiet

    def refuse_new(self) -> None:
        """Answers every later call with ShuttingDown."""
        self._active.refusing = True

    async def ended(self, timeout_s: float) -> None:
        """Waits until no call of ours is running, or the time is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._active.none.wait(), timeout_s)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Returns the wrapped handler of a method; gRPC calls this for each call."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            # Health and reflection have their own ways; methods that do not exist are not
            # kept, because anyone may make them up.
            if handler is None or not method.startswith(_OURS):
                return handler
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Any) -> Any:
        sides = (handler.request_streaming, handler.response_streaming)
        kind = {(True, True): "bidi_stream", (False, True): "server_stream"}.get(sides, "unary")
        _, service, name = method.split("/")
        call = _Method(self._metrics, self._active, method, (kind, service, name))
        deserialize = _forgiving(handler.request_deserializer)
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                call.streaming(handler.stream_stream, dialogue=True),
                deserialize,
                _as_it_is(handler.response_serializer),
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                call.streaming(handler.unary_stream), deserialize, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            call.unary(handler.unary_unary),
            deserialize,
            _as_it_is(handler.response_serializer),
        )


class _Active:
    """How many calls are running."""

    def __init__(self) -> None:
        self._count = 0
        self.refusing = False  # the server is draining
        self.none = asyncio.Event()
        self.none.set()

    @property
    def is_quiet(self) -> bool:
        """Whether at most one is."""
        return self._count <= 1

    def add(self, change: int) -> None:
        """Counts a call that begins, 1, or ends, -1."""
        self._count += change
        if self._count:
            self.none.clear()
        else:
            self.none.set()


class _Method:
    """One method of the contract, with its metrics."""

    def __init__(
        self, metrics: Metrics, active: _Active, method: str, labels: tuple[str, str, str]
    ) -> None:
        self._active = active
        self._method = method
        self._started = metrics.calls_started.labels(*labels)
        self._received = metrics.messages_received.labels(*labels)
        self._sent = metrics.messages_sent.labels(*labels)
        self._metrics = metrics
        self._labels = labels
        self._ended: dict[grpc.StatusCode, tuple[Counter, Histogram]] = {}

    def unary(self, inner: Callable[[Any, Any], Awaitable[Any]]) -> Callable[..., Any]:
        async def outer(request: Any, context: Any) -> Any:
            call = self._begin(context)
            try:
                self._check(request)
                response = await inner(request, context)
                self._sent.inc()
                call.code = grpc.StatusCode.OK
                return response
            except Exception as error:
                await call.abort(error)
            finally:
                call.end()

        return outer

    def streaming(
        self, inner: Callable[[Any, Any], AsyncIterator[Any]], *, dialogue: bool = False
    ) -> Callable[..., Any]:
        """Wraps a method that answers with a stream; in a dialogue it is asked by one too."""

        async def outer(asked: Any, context: Any) -> AsyncIterator[Any]:
            call = self._begin(context)
            try:
                self._check(None if dialogue else asked)
                taken = self._checked(asked) if dialogue else asked
                async for response in inner(taken, context):
                    self._sent.inc()
                    yield response
                call.code = grpc.StatusCode.OK
            except Exception as error:
                await call.abort(error)
            finally:
                call.end()

        return outer

    async def _checked(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            self._received.inc()
            self._check(request)
            yield request

    def _check(self, request: Any) -> None:
        if self._active.refusing:
            raise ShuttingDown("the server is shutting down")
        if isinstance(request, _Unreadable):
            raise InvalidRequest(
                "the request is not a message of this method, or a text in it is not UTF-8"
            )

    def _begin(self, context: Any) -> "_Call":
        self._active.add(1)
        self._started.inc()
        self._received.inc()
        return _Call(self, context)

    def finish(self, code: grpc.StatusCode, seconds: float) -> None:
        self._active.add(-1)
        if code not in self._ended:  # finding the series costs more than counting
            labels = (*self._labels, code.name)
            self._ended[code] = (
                self._metrics.calls_handled.labels(*labels),
                self._metrics.call_seconds.labels(*labels),
            )
        handled, took = self._ended[code]
        handled.inc()
        took.observe(seconds)

    @property
    def name(self) -> str:
        return self._method


class _Call:
    """One call, from its arrival to its end."""

    def __init__(self, method: _Method, context: Any) -> None:
        self._method = method
        self._context = context
        self._began = time.monotonic()
        # Cancelled unless something else is said: a caller that leaves says nothing.
        self.code = grpc.StatusCode.CANCELLED
        metadata = dict(context.invocation_metadata() or ())
        self._id = str(metadata.get(REQUEST_ID, ""))[:64] or f"{random.getrandbits(64):016x}"
        logs.request_id.set(self._id)

    async def abort(self, error: Exception) -> None:
        """Ends the call with an error's status; never returns."""
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if not isinstance(error, StepwireError):
            log.error("call failed", extra={"method": self._method.name}, exc_info=error)
            error = InternalError("internal error")
        if isinstance(error, InternalError):
            log.error("call ended", extra={"method": self._method.name, "reason": str(error)})
            error = InternalError(str(error), id=self._id)
        status = to_status(error)
        self.code = STATUS_OF[type(error)]
        trailing = (*status.trailing_metadata, (REQUEST_ID, self._id))
        await self._context.abort(status.code, status.details, trailing)

    def end(self) -> None:
        """Counts the call."""
        if self.code is grpc.StatusCode.CANCELLED:
            left_s = self._context.time_remaining()
            if left_s is not None and left_s <= 0:
                self.code = grpc.StatusCode.DEADLINE_EXCEEDED
        self._method.finish(self.code, time.monotonic() - self._began)


def _as_it_is(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Lets answers through that were written down before."""
    return lambda answer: answer if isinstance(answer, bytes) else serialize(answer)


def _forgiving(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Lets unreadable requests through, to be refused with a clear status."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except (DecodeError, UnicodeDecodeError):
            return _Unreadable()

    return read
