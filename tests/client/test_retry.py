import asyncio
import math
import threading
import time
from dataclasses import replace

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stepwire
from client.fakes import UNAVAILABLE, FakeServer, Refusal, serving
from stepwire.retry import Attempts, Retry

OVERLOADED = Refusal(
    code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="OVERLOADED", retry_after_s=0.2
)
LOADING = Refusal(code=grpc.StatusCode.UNAVAILABLE, reason="MODEL_LOADING")
TOO_LARGE = Refusal(code=grpc.StatusCode.RESOURCE_EXHAUSTED)
INVALID = Refusal(code=grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST")
INTERNAL = Refusal(code=grpc.StatusCode.INTERNAL, reason="INTERNAL")


def unavailable(retry_after_s=None):
    return stepwire.Unavailable(code=grpc.StatusCode.UNAVAILABLE, retry_after_s=retry_after_s)


class Clock:
    """Stands still unless told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def pauses(retry, timeout_s, errors, rng, took_s=0.0):
    """The pauses that are made while every attempt fails, and the time all of it takes."""
    clock = Clock()
    attempts = Attempts(retry, timeout_s, clock=clock, rng=rng)
    made = []
    for error in errors:
        clock.now += took_s
        try:
            made.append(attempts.pause_after(error))
        except stepwire.StepwireError:
            break
        clock.now += made[-1]
    return made, clock.now - 1000.0


def test_pauses_double_up_to_their_bound():
    retry = Retry(max_attempts=6, first_pause_s=1.0, max_pause_s=5.0)
    made, _ = pauses(retry, math.inf, [unavailable()] * 10, rng=lambda: 1.0)
    assert made == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_servers_delay_is_the_least_that_is_waited():
    retry = Retry(first_pause_s=1.0)
    made, _ = pauses(retry, math.inf, [unavailable(retry_after_s=3.0)] * 2, rng=lambda: 0.5)
    assert made == [3.5, 4.0]


def test_a_server_that_asks_for_too_long_is_not_waited_for():
    made, _ = pauses(Retry(max_pause_s=5.0), math.inf, [unavailable(6.0)], rng=lambda: 0.0)
    assert made == []


def test_one_attempt_is_no_retry():
    assert pauses(Retry(max_attempts=1), math.inf, [unavailable()], rng=lambda: 0.0)[0] == []


@settings(deadline=None)
@given(
    retry=st.builds(
        Retry,
        max_attempts=st.integers(1, 12),
        first_pause_s=st.floats(0, 1),
        max_pause_s=st.floats(1, 60),
    ),
    timeout_s=st.floats(0.001, 100),
    asked=st.lists(st.none() | st.floats(0, 100), min_size=20, max_size=20),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_no_pause_goes_past_the_deadline_or_the_attempts(retry, timeout_s, asked, draw):
    errors = [unavailable(asked_s) for asked_s in asked]
    made, elapsed_s = pauses(retry, timeout_s, errors, rng=lambda: draw)
    assert len(made) < retry.max_attempts
    assert elapsed_s <= timeout_s
    assert all(pause_s >= (asked_s or 0) for pause_s, asked_s in zip(made, asked, strict=False))


def test_each_attempt_gets_what_is_left_of_the_timeout():
    clock = Clock()
    attempts = Attempts(Retry(), 10.0, clock=clock, rng=lambda: 0.0)
    clock.now += 4.0
    assert attempts.remaining_s() == 6.0
    clock.now += 7.0
    assert attempts.remaining_s() == 0.0
    assert Attempts(Retry(), math.inf).remaining_s() is None


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 0}, {"first_pause_s": -1}, {"first_pause_s": 9}, {"max_pause_s": math.nan}],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="got"):
        Retry(**wrong)


@pytest.mark.parametrize("refusal", [UNAVAILABLE, OVERLOADED, LOADING])
async def test_a_passing_refusal_is_tried_again(client, aclient, service, refusal):
    service.refusals = [refusal] * 2
    assert client.classify("judge", "좋아요")[0].label == "positive"
    service.refusals = [refusal] * 2
    assert (await aclient.classify("judge", "좋아요"))[0].label == "positive"
    assert len(service.requests) == 6


async def test_a_stream_begins_again_while_nothing_has_come(client, aclient, service):
    service.refusals = [UNAVAILABLE, OVERLOADED]
    assert "".join(client.generate("echo", "abc")) == "abc"
    service.refusals = [UNAVAILABLE, OVERLOADED]
    assert [text async for text in aclient.generate("echo", "abc")] == ["a", "b", "c"]
    assert len(service.requests) == 6


async def test_a_stream_never_begins_again_once_text_has_come(client, aclient, service):
    stream = client.generate("breaks", "ab")
    assert [next(stream), next(stream)] == ["a", "b"]
    with pytest.raises(stepwire.Unavailable):
        next(stream)
    with pytest.raises(stepwire.Unavailable):
        [text async for text in aclient.generate("breaks", "ab")]
    assert len(service.requests) == 2


@pytest.mark.parametrize("refusal", [INVALID, INTERNAL, TOO_LARGE])
async def test_what_cannot_pass_is_not_tried_again(client, aclient, service, refusal):
    service.refusals = [refusal] * 3
    with pytest.raises(stepwire.StepwireError, match="refused"):
        client.models()
    with pytest.raises(stepwire.StepwireError, match="refused"):
        await aclient.models()
    with pytest.raises(stepwire.StepwireError, match="refused"):
        next(client.generate("echo", "a"))
    assert len(service.requests) == 3


async def test_attempts_are_bounded(client, aclient, service):
    service.refusals = [UNAVAILABLE] * 8
    with pytest.raises(stepwire.Unavailable):
        client.models()
    with pytest.raises(stepwire.Unavailable):
        await aclient.models()
    assert len(service.requests) == 8


def test_the_servers_delay_is_honoured(client, service):
    service.refusals = [OVERLOADED]
    began = time.monotonic()
    client.models()
    assert time.monotonic() - began >= 0.2


def test_the_last_refusal_is_raised_rather_than_the_deadline_passed(client, service):
    service.refusals = [replace(OVERLOADED, retry_after_s=0.45)] * 4
    began = time.monotonic()
    with pytest.raises(stepwire.Overloaded) as raised:
        client.classify("judge", "a", timeout_s=0.8)
    assert time.monotonic() - began < 0.8
    assert raised.value.retry_after_s == 0.45


def test_closing_the_client_ends_a_pause(address, service):
    service.refusals = [LOADING] * 9
    patient = Retry(max_attempts=9, first_pause_s=60.0, max_pause_s=60.0)
    with stepwire.Client(address, retry=patient) as client:
        threading.Timer(0.2, client.close).start()
        with pytest.raises(stepwire.StepwireError):
            client.classify("judge", "a", timeout_s=math.inf)


async def test_closing_a_stream_ends_its_pause(address, service):
    service.refusals = [LOADING] * 9
    patient = Retry(max_attempts=9, first_pause_s=60.0, max_pause_s=60.0)
    async with stepwire.AsyncClient(address, retry=patient) as client:
        stream = client.generate("echo", "a", timeout_s=math.inf)
        asyncio.get_running_loop().call_later(0.2, stream.close)
        with pytest.raises(stepwire.StepwireError):
            await anext(stream)


def test_a_server_that_comes_up_late_is_reached(unused_address):
    patient = Retry(max_attempts=50, first_pause_s=0.1, max_pause_s=0.2)
    with stepwire.Client(unused_address, retry=patient) as client:
        stream = client.generate("echo", "abc")
        time.sleep(0.5)
        with serving(FakeServer(), port=int(unused_address.rpartition(":")[2])):
            assert "".join(stream) == "abc"
