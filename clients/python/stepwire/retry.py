"""When a call is made again: only where that is safe, and never past its deadline.

Plain decisions: the clients sleep and call. A call may be made again while nothing of its
answer has been handed out; the streams see to that.
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from stepwire.errors import StepwireError

_FOREVER_S = 1e9  # 30 years; the wire has no room for longer deadlines


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often and how patiently a call is made again.

    Pauses grow exponentially and are drawn anew from [0, pause] each time ("full jitter"),
    so that clients refused together do not return together.
    """

    max_attempts: int = 4  # the first included; 1 is never to retry
    first_pause_s: float = 0.2  # longest pause after the first attempt; doubles with each
    max_pause_s: float = 5.0  # a server that asks for longer than this is not waited for

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {self.max_attempts}")
        if not 0 <= self.first_pause_s <= self.max_pause_s < math.inf:
            raise ValueError(
                "pauses must be 0 <= first_pause_s <= max_pause_s, "
                f"got {self.first_pause_s} and {self.max_pause_s}"
            )


DEFAULT_RETRY = Retry()


class Attempts:
    """The attempts at one call, and the time they share."""

    def __init__(
        self,
        retry: Retry,
        timeout_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
    ) -> None:
        """Starts the clock.

        Args:
            retry: the policy.
            timeout_s: for all attempts and pauses together; infinite is no deadline.
            clock: seconds, from any origin.
            rng: draws from [0, 1).
        """
        check_timeout(timeout_s)
        self._retry = retry
        self._clock = clock
        self._rng = rng
        self._deadline = clock() + timeout_s
        self._made = 1

    def remaining_s(self) -> float | None:
        """What is left of the timeout; None without a deadline."""
        remaining_s = self._deadline - self._clock()
        return max(0.0, remaining_s) if remaining_s < _FOREVER_S else None

    def renew(self) -> None:
        """Counts attempts anew: the last one got somewhere."""
        self._made = 1

    def pause_after(self, error: StepwireError) -> float:
        """How many seconds to wait before the next attempt.

        Raises:
            StepwireError: `error` itself, if there is to be no other attempt.
        """
        asked_s = error.retry_after_s or 0.0
        if self._made >= self._retry.max_attempts or not may_pass(error):
            raise error
        if asked_s > self._retry.max_pause_s:
            raise error
        longest_s = min(
            self._retry.first_pause_s * 2.0 ** (self._made - 1), self._retry.max_pause_s
        )
        pause_s = asked_s + self._rng() * longest_s
        if pause_s >= self._deadline - self._clock():
            raise error
        self._made += 1
        return pause_s


def may_pass(error: StepwireError) -> bool:
    """Whether the same call may succeed a little later."""
    # RESOURCE_EXHAUSTED by itself is also what gRPC says of a message that is too large.
    return error.code is grpc.StatusCode.UNAVAILABLE or error.reason == "OVERLOADED"


def check_timeout(timeout_s: float) -> float:
    """The timeout, if it is one.

    Raises:
        ValueError: not above 0, or not a number.
    """
    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be above 0 (math.inf for no deadline), got {timeout_s}")
    return timeout_s
