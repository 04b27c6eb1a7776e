import pickle

import grpc
import pytest
from google.rpc import status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

import stepwire
from client.fakes import NO_SUCH_MODEL, Refusal
from stepwire import errors

StatusCode = grpc.StatusCode

NAMED = [
    ("INVALID_REQUEST", StatusCode.INVALID_ARGUMENT, stepwire.InvalidRequest),
    ("MODEL_NOT_FOUND", StatusCode.NOT_FOUND, stepwire.NotFound),
    ("MODEL_LOADING", StatusCode.UNAVAILABLE, stepwire.ModelLoading),
    ("MODEL_FAILED", StatusCode.FAILED_PRECONDITION, stepwire.ModelFailed),
    ("MODEL_CONTROL_DISABLED", StatusCode.FAILED_PRECONDITION, stepwire.ModelControlDisabled),
    ("SESSION_NOT_FOUND", StatusCode.NOT_FOUND, stepwire.SessionLost),
    ("SESSION_EXPIRED", StatusCode.FAILED_PRECONDITION, stepwire.SessionLost),
    ("SESSION_EVICTED", StatusCode.ABORTED, stepwire.SessionLost),
    ("STALE_EPOCH", StatusCode.ABORTED, stepwire.StaleEpoch),
    ("STEP_TAKEN", StatusCode.ALREADY_EXISTS, stepwire.StepConflict),
    ("STEP_SKIPPED", StatusCode.OUT_OF_RANGE, stepwire.StepConflict),
    ("ROLLBACK_UNAVAILABLE", StatusCode.FAILED_PRECONDITION, stepwire.RollbackUnavailable),
    ("STATE_TOKEN_UNREADABLE", StatusCode.INVALID_ARGUMENT, stepwire.StateTokenRefused),
    ("STATE_TOKEN_FORGED", StatusCode.INVALID_ARGUMENT, stepwire.StateTokenRefused),
    ("STATE_TOKEN_UNKNOWN_KEY", StatusCode.INVALID_ARGUMENT, stepwire.StateTokenRefused),
    ("STATE_TOKEN_OTHER_MODEL", StatusCode.INVALID_ARGUMENT, stepwire.StateTokenRefused),
    ("STATE_TOKEN_OTHER_OWNER", StatusCode.INVALID_ARGUMENT, stepwire.StateTokenRefused),
    ("STATE_TOKEN_EXPIRED", StatusCode.FAILED_PRECONDITION, stepwire.StateTokenRefused),
    ("STATE_TOKEN_INEXACT", StatusCode.FAILED_PRECONDITION, stepwire.StateTokenRefused),
    ("OVERLOADED", StatusCode.RESOURCE_EXHAUSTED, stepwire.Overloaded),
    ("SHUTTING_DOWN", StatusCode.UNAVAILABLE, stepwire.ShuttingDown),
    ("DEADLINE_EXCEEDED", StatusCode.DEADLINE_EXCEEDED, stepwire.DeadlineExceeded),
    ("INTERNAL", StatusCode.INTERNAL, stepwire.InternalError),
]
UNNAMED = [
    (StatusCode.INVALID_ARGUMENT, stepwire.InvalidRequest),
    (StatusCode.NOT_FOUND, stepwire.NotFound),
    (StatusCode.RESOURCE_EXHAUSTED, stepwire.ResourceExhausted),
    (StatusCode.UNAVAILABLE, stepwire.Unavailable),
    (StatusCode.DEADLINE_EXCEEDED, stepwire.DeadlineExceeded),
    (StatusCode.CANCELLED, stepwire.Cancelled),
    (StatusCode.INTERNAL, stepwire.InternalError),
    (StatusCode.UNKNOWN, stepwire.InternalError),
    (StatusCode.FAILED_PRECONDITION, stepwire.StepwireError),
    (StatusCode.PERMISSION_DENIED, stepwire.StepwireError),
]


class Failure(grpc.RpcError):
    """A gRPC error as both clients' libraries raise it."""

    def __init__(self, code, details="refused", metadata=()):
        self._told = code, details, metadata

    def code(self):
        return self._told[0]

    def details(self):
        return self._told[1]

    def trailing_metadata(self):
        return self._told[2]


def failure(refusal):
    return Failure(refusal.code, refusal.message, [("grpc-status-details-bin", refusal.details())])


@pytest.mark.parametrize(("reason", "code", "kind"), NAMED)
def test_each_reason_has_its_class(reason, code, kind):
    error = errors.from_rpc(failure(Refusal(code=code, reason=reason, metadata={"id": "7"})))
    assert type(error) is kind
    assert (error.code, error.reason, error.details) == (code, reason, {"id": "7"})


def test_no_reason_is_left_out():
    assert {reason for reason, _, _ in NAMED} == set(errors.CLASS_OF_REASON)


@pytest.mark.parametrize(("code", "kind"), UNNAMED)
@pytest.mark.parametrize("reason", ["", "OF_A_NEWER_SERVER"])
def test_an_unknown_reason_falls_back_to_the_status(code, kind, reason):
    error = errors.from_rpc(failure(Refusal(code=code, reason=reason)))
    assert type(error) is kind
    assert error.reason == reason
    assert type(errors.from_rpc(Failure(code, metadata=None))) is kind


def test_a_reason_of_another_domain_is_not_ours():
    refusal = Refusal(code=StatusCode.UNAVAILABLE, reason="OVERLOADED", domain="googleapis.com")
    error = errors.from_rpc(failure(refusal))
    assert type(error) is stepwire.Unavailable
    assert error.reason == ""


@settings(deadline=None)
@given(details=st.binary(max_size=64) | st.builds(
    lambda kind, value: status_pb2.Status(
        details=[{"type_url": f"type.googleapis.com/google.rpc.{kind}", "value": value}]
    ).SerializeToString(),
    st.sampled_from(["ErrorInfo", "RetryInfo"]),
    st.binary(max_size=32),
))  # fmt: skip
def test_mangled_details_leave_the_status_standing(details):
    mangled = Failure(StatusCode.NOT_FOUND, metadata=[("grpc-status-details-bin", details)])
    assert isinstance(errors.from_rpc(mangled), stepwire.StepwireError)


def test_an_error_without_a_message_says_its_status():
    assert str(errors.from_rpc(Failure(StatusCode.CANCELLED, details=None))) == "CANCELLED"


def test_an_error_survives_the_way_between_processes():
    refusal = Refusal(code=StatusCode.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_after_s=1.5)
    error = pickle.loads(pickle.dumps(errors.from_rpc(failure(refusal))))
    assert type(error) is stepwire.Overloaded
    assert (error.code, error.reason, error.retry_after_s) == (refusal.code, "OVERLOADED", 1.5)


def test_a_missing_model_is_not_found_and_the_grpc_error_is_the_cause(client):
    with pytest.raises(stepwire.NotFound, match="there are echo, endless") as raised:
        client.classify("nobody", "a")
    assert raised.value.reason == NO_SUCH_MODEL.reason
    assert isinstance(raised.value.__cause__, grpc.RpcError)


def test_a_stream_raises_what_went_wrong_when_it_is_read(client):
    stream = client.generate("nobody", "a")
    with pytest.raises(stepwire.NotFound, match="there are echo, endless"):
        next(stream)


async def test_the_asynchronous_client_raises_the_same(aclient):
    with pytest.raises(stepwire.NotFound, match="there are echo, endless"):
        await aclient.model("nobody")
    with pytest.raises(stepwire.NotFound, match="there are echo, endless") as raised:
        await anext(aclient.generate("nobody", "a"))
    assert raised.value.reason == NO_SUCH_MODEL.reason
    assert isinstance(raised.value.__cause__, grpc.RpcError)


def test_the_facts_beside_an_invalid_request_can_be_read(client, service):
    facts = {"field": "max_tokens", "allowed": "be in [1, 256]", "got": "900"}
    service.refusals = [
        Refusal(code=StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST", metadata=facts)
    ]
    with pytest.raises(stepwire.InvalidRequest) as raised:
        client.classify("judge", "a")
    assert raised.value.details == facts


def test_a_server_that_is_not_there_is_unavailable(unused_address):
    quick = stepwire.Retry(max_attempts=2, first_pause_s=0.01)
    with stepwire.Client(unused_address, retry=quick) as client:
        with pytest.raises(stepwire.Unavailable):
            client.models()
        with pytest.raises(stepwire.Unavailable):
            next(client.generate("echo", "a"))
