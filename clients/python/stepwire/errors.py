"""What a call can raise.

StepwireError             base; a status that has no class of its own
├── InvalidRequest        fix the request; retrying is useless
├── NotFound              no such model or version
├── ModelNotReady
│   ├── ModelLoading      retry after a pause
│   └── ModelFailed       it did not pass its proof at loading; its owner must act
├── ModelControlDisabled  the server does not load and unload models by request
├── ResourceExhausted     over a limit of the server, or of something on the way to it
│   └── Overloaded        the server is busy; retry after `retry_after_s`
├── Unavailable           the server cannot be reached
│   └── ShuttingDown      it is leaving; another replica may answer
├── SessionLost           the session is closed, expired or evicted, or never was
├── StaleEpoch            another stream has the session, or it was rolled back
├── StepConflict          the step is not the session's next one
├── RollbackUnavailable   no snapshot of that step is kept
├── StateTokenRefused     the reason says why
├── DeadlineExceeded      no whole answer within the timeout
├── Cancelled             the call, its stream or the client was closed
└── InternalError         a fault of the server; `details["id"]` finds it in the server's log

Read from the gRPC status and the google.rpc details beside it, which need only
googleapis-common-protos: the client does without the grpcio-status package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from stepwire.v1 import streaming_pb2

MessageT = TypeVar("MessageT", bound=Message)

DOMAIN = "stepwire.dev"  # reasons of other domains mean something else


class StepwireError(Exception):
    """Base of everything this package raises on purpose.

    Attributes:
        code: the gRPC status.
        reason: the server's name for the situation, such as MODEL_NOT_FOUND; may be empty.
        details: facts beside it by name, such as field, allowed and got.
        retry_after_s: how long the server asks to wait; None if it does not say.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        details: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details: Mapping[str, str] = dict(details or {})
        self.retry_after_s = retry_after_s


class InvalidRequest(StepwireError):
    """Fix the request; retrying is useless."""


class NotFound(StepwireError):
    """No such model or version."""


class ModelNotReady(StepwireError):
    """The model does not answer requests."""


class ModelLoading(ModelNotReady):
    """The model is being loaded and proved; retry after a pause."""


class ModelFailed(ModelNotReady):
    """The model did not pass its proof at loading."""


class ModelControlDisabled(StepwireError):
    """The server does not load and unload models by request."""


class ResourceExhausted(StepwireError):
    """Over a limit of the server, or of something on the way to it."""


class Overloaded(ResourceExhausted):
    """The server is busy; retry after `retry_after_s`."""


class Unavailable(StepwireError):
    """The server cannot be reached."""


class ShuttingDown(Unavailable):
    """The server is leaving; another replica may answer."""


class DeadlineExceeded(StepwireError):
    """No whole answer within the timeout."""


class Cancelled(StepwireError):
    """The call, its stream or the client was closed."""


class SessionLost(StepwireError):
    """The session is not there: closed, expired, evicted, or never was."""


class StaleEpoch(StepwireError):
    """Another stream has the session, or it was rolled back since."""


class StepConflict(StepwireError):
    """The step is not the next one: it was taken with other inputs, or others come before."""


class RollbackUnavailable(StepwireError):
    """No snapshot of that step is kept."""


class StateTokenRefused(StepwireError):
    """The state token cannot be used; the reason says why."""


class InternalError(StepwireError):
    """A fault of the server."""


CLASS_OF_REASON: Mapping[str, type[StepwireError]] = {
    "INVALID_REQUEST": InvalidRequest,
    "MODEL_NOT_FOUND": NotFound,
    "MODEL_LOADING": ModelLoading,
    "MODEL_FAILED": ModelFailed,
    "MODEL_CONTROL_DISABLED": ModelControlDisabled,
    "SESSION_NOT_FOUND": SessionLost,
    "SESSION_EXPIRED": SessionLost,
    "SESSION_EVICTED": SessionLost,
    "STALE_EPOCH": StaleEpoch,
    "STEP_TAKEN": StepConflict,
    "STEP_SKIPPED": StepConflict,
    "ROLLBACK_UNAVAILABLE": RollbackUnavailable,
    "STATE_TOKEN_UNREADABLE": StateTokenRefused,
    "STATE_TOKEN_FORGED": StateTokenRefused,
    "STATE_TOKEN_UNKNOWN_KEY": StateTokenRefused,
    "STATE_TOKEN_OTHER_MODEL": StateTokenRefused,
    "STATE_TOKEN_OTHER_OWNER": StateTokenRefused,
    "STATE_TOKEN_EXPIRED": StateTokenRefused,
    "STATE_TOKEN_INEXACT": StateTokenRefused,
    "OVERLOADED": Overloaded,
    "SHUTTING_DOWN": ShuttingDown,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "INTERNAL": InternalError,
}

CLASS_OF_CODE: Mapping[grpc.StatusCode, type[StepwireError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.UNKNOWN: InternalError,
    grpc.StatusCode.DATA_LOSS: InternalError,
}


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What the server says beside the status."""

    reason: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None


def from_rpc(error: grpc.RpcError) -> StepwireError:
    """Turns a gRPC error into ours; the original stays as its cause."""
    metadata: Any = error.trailing_metadata() or ()  # pairs; the stubs have it otherwise
    facts = _facts(dict(metadata))
    kind = CLASS_OF_REASON.get(facts.reason) or CLASS_OF_CODE.get(error.code(), StepwireError)
    ours = kind(
        error.details() or error.code().name,
        code=error.code(),
        reason=facts.reason,
        details=facts.details,
        retry_after_s=facts.retry_after_s,
    )
    ours.__cause__ = error
    return ours


def from_step_error(error: streaming_pb2.StepError) -> StepwireError:
    """Turns what a stream says of one session into an error."""
    codes = {code.value[0]: code for code in grpc.StatusCode}
    code = codes.get(error.code, grpc.StatusCode.UNKNOWN)
    kind = CLASS_OF_REASON.get(error.reason) or CLASS_OF_CODE.get(code, StepwireError)
    return kind(error.message, code=code, reason=error.reason, details=dict(error.metadata))


def cancelled(message: str) -> Cancelled:
    """The error of a call that this side gave up."""
    return Cancelled(message, code=grpc.StatusCode.CANCELLED)


def _facts(metadata: Mapping[str, str | bytes]) -> _Facts:
    try:
        status = status_pb2.Status.FromString(metadata.get("grpc-status-details-bin", b""))
        info = _detail(status, error_details_pb2.ErrorInfo())
        retry = _detail(status, error_details_pb2.RetryInfo())
    except (DecodeError, TypeError):
        return _Facts()  # mangled on the way; the status itself still stands
    ours = info.domain == DOMAIN
    return _Facts(
        reason=info.reason if ours else "",
        details=dict(info.metadata) if ours else {},
        retry_after_s=_seconds(retry.retry_delay) if retry.HasField("retry_delay") else None,
    )


def _detail(status: status_pb2.Status, empty: MessageT) -> MessageT:
    """The status's detail of this kind, or `empty` as it came."""
    any(detail.Unpack(empty) for detail in status.details)
    return empty


def _seconds(delay: Duration) -> float:
    return max(0.0, delay.seconds + delay.nanos / 1e9)
