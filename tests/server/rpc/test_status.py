import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from stepwire_server.errors import InvalidRequest, Overloaded, StepwireError
from stepwire_server.rpc.status import STATUS_OF, to_status


def leaves(kind):
    """The classes at the ends of a tree."""
    below = kind.__subclasses__()
    return [leaf for each in below for leaf in leaves(each)] if below else [kind]


def test_every_error_has_a_status_and_a_reason_of_its_own():
    assert set(STATUS_OF) == set(leaves(StepwireError))
    assert len({error.reason for error in STATUS_OF}) == len(STATUS_OF)


def details_of(error):
    trailing = dict(to_status(error).trailing_metadata)
    return status_pb2.Status.FromString(trailing["grpc-status-details-bin"])


def test_a_refused_field_is_told_apart_by_machines():
    status = details_of(InvalidRequest.of("top_p", "be in (0, 1]", 7.0))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("stepwire.dev", "INVALID_REQUEST")
    assert dict(info.metadata) == {"field": "top_p", "allowed": "be in (0, 1]", "got": "7"}
    assert status.message == "top_p must be in (0, 1], got 7"
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_an_overloaded_server_says_when_to_return():
    retry = error_details_pb2.RetryInfo()
    assert details_of(Overloaded("full", retry_after_s=0.25)).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 250


@pytest.mark.parametrize("got", ["x" * 10_000, list(range(1000))])
def test_what_came_is_never_shown_whole(got):
    assert len(str(InvalidRequest.of("prompt", "be short", got))) < 150


def test_a_long_message_is_cut_to_what_headers_hold():
    status = to_status(InvalidRequest("x" * 100_000, field="y" * 100_000))
    assert sum(len(value) for _, value in status.trailing_metadata) < 4096
    assert len(status.details) < 1024
