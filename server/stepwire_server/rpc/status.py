"""The one table from domain errors to gRPC status codes, and how they look on the wire."""

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from stepwire_server.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelControlDisabled,
    ModelFailed,
    ModelLoading,
    ModelNotFound,
    Overloaded,
    RollbackUnavailable,
    SessionEvicted,
    SessionExpired,
    SessionNotFound,
    ShuttingDown,
    StaleEpoch,
    StateTokenExpired,
    StateTokenForged,
    StateTokenInexact,
    StateTokenOtherModel,
    StateTokenOtherOwner,
    StateTokenUnknownKey,
    StateTokenUnreadable,
    StepSkipped,
    StepTaken,
    StepwireError,
    Unsupported,
)

MOST_CHARACTERS = 600  # of a message; it travels twice
DOMAIN = "stepwire.dev"  # of google.rpc.ErrorInfo

STATUS_OF: dict[type[StepwireError], grpc.StatusCode] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    ModelNotFound: grpc.StatusCode.NOT_FOUND,
    ModelLoading: grpc.StatusCode.UNAVAILABLE,
    ModelFailed: grpc.StatusCode.FAILED_PRECONDITION,
    ModelControlDisabled: grpc.StatusCode.FAILED_PRECONDITION,
    SessionNotFound: grpc.StatusCode.NOT_FOUND,
    SessionExpired: grpc.StatusCode.FAILED_PRECONDITION,
    SessionEvicted: grpc.StatusCode.ABORTED,
    StaleEpoch: grpc.StatusCode.ABORTED,
    StepTaken: grpc.StatusCode.ALREADY_EXISTS,
    StepSkipped: grpc.StatusCode.OUT_OF_RANGE,
    RollbackUnavailable: grpc.StatusCode.FAILED_PRECONDITION,
    StateTokenUnreadable: grpc.StatusCode.INVALID_ARGUMENT,
    StateTokenForged: grpc.StatusCode.INVALID_ARGUMENT,
    StateTokenUnknownKey: grpc.StatusCode.INVALID_ARGUMENT,
    StateTokenOtherModel: grpc.StatusCode.INVALID_ARGUMENT,
    StateTokenOtherOwner: grpc.StatusCode.INVALID_ARGUMENT,
    StateTokenExpired: grpc.StatusCode.FAILED_PRECONDITION,
    StateTokenInexact: grpc.StatusCode.FAILED_PRECONDITION,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    InternalError: grpc.StatusCode.INTERNAL,
}


def to_status(error: StepwireError) -> grpc.Status:
    """Gives an error its code, with reason and metadata as google.rpc.ErrorInfo."""
    message = _clip(str(error))
    metadata = {name: _clip(value) for name, value in error.metadata.items()}
    details = [
        _packed(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    ]
    if isinstance(error, Overloaded):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    code: int = STATUS_OF[type(error)].value[0]
    return rpc_status.to_status(status_pb2.Status(code=code, message=message, details=details))


def _clip(text: str) -> str:
    """Status travels in headers, and clients refuse headers of more than some KiB."""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."


def _packed(message: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)  # type: ignore[arg-type]
    return packed
