"""Sequences that come for one step and bring their state: they take no slot.

A slot pays where a row stays for many steps. The step of a session brings a packed state, is run
beside the rows that are there, and leaves with the state that follows; it never waits for a slot.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from stepwire_server.engine.given import Given
from stepwire_server.engine.load import check_visits
from stepwire_server.errors import InternalError, StepwireError

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True, kw_only=True)
class Visit:
    """One step of one sequence."""

    reads: int | NDArray[Any]  # a token, or features [F], or the numbers of a word [W]
    packed: bytes  # the state that it goes on from; empty: the model's start
    wanted: frozenset[str]  # outputs beside the logits, by role
    taken: Callable[[Given, int], None]  # told what the step gave, and which row is this one's
    failed: Callable[[StepwireError], None]
    deadline: float | None = None  # of the engine's clock, for waiting
    arrived_at: float = 0.0
    started_at: float = 0.0
    left: bool = False  # its caller has gone; what was not begun is not done


class Waiting:
    """Visits in the order in which they came. Plain bookkeeping: the engine guards it."""

    def __init__(self, most_waiting: int, most_at_once: int) -> None:
        """Makes an empty queue.

        Args:
            most_waiting: visits in the queue.
            most_at_once: visits in one run.
        """
        self._most_waiting = most_waiting
        self._most_at_once = most_at_once
        self._visits: deque[Visit] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._visits)

    def add(self, visits: Sequence[Visit]) -> None:
        """Queues all of them, or none.

        Raises:
            InvalidRequest: they are more than may ever wait.
            Overloaded: they are too many now.
        """
        check_visits(len(visits), len(self._visits), self._most_waiting)
        self._visits.extend(visits)

    def take(self) -> list[Visit]:
        """Takes those that come along in the next run."""
        count = min(len(self._visits), self._most_at_once)
        return [self._visits.popleft() for _ in range(count)]


def see_off(visits: Sequence[Visit], given: Given, finite: Sequence[bool]) -> None:
    """Tells visits what their step gave; runs on the callers' thread."""
    for place, visit in enumerate(visits):
        if visit.left:
            continue
        try:
            if finite[place]:
                visit.taken(given, place)
            else:
                visit.failed(InternalError("the model gave numbers that are not finite"))
        except Exception:
            log.exception("what a step gave could not be told")
            visit.failed(InternalError("the outputs of a step could not be told"))
