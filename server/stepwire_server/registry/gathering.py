"""Single steps that wait a moment for each other.

Steps of many callers arrive one by one. An engine that begins with the first is done before the
next is here, and each run costs the same for one row as for many. So what comes while others are
under way waits for them to come back, but never long; a lone caller never waits.
"""

import asyncio
from collections.abc import Sequence

from stepwire_server.engine.pool import AnyEngine
from stepwire_server.engine.visits import Visit
from stepwire_server.errors import StepwireError

_MOST_DELAY_S = 0.001
_FORGETS = 0.7  # of the company that is expected, what is left when it did not come


class Gathering:
    """The steps that wait to begin at one engine. Lives on the event loop's thread."""

    def __init__(self, engine: AnyEngine, max_rows: int) -> None:
        """Makes an empty one.

        Args:
            engine: takes the steps.
            max_rows: steps that wait for no more.
        """
        self.engine = engine
        self._max_rows = max_rows
        self._waiting: list[Visit] = []
        self._open = 0  # steps that wait or are under way
        self._expected = 1.0  # steps that were open at once
        self._timer: asyncio.TimerHandle | None = None

    def add(self, visits: Sequence[Visit]) -> None:
        """Takes steps; they fail if the engine does not take them."""
        self._waiting += visits
        self._open += len(visits)
        if self._open > self._expected:
            self._expected = min(self._open, self._max_rows)
        if len(self._waiting) >= round(self._expected):
            self._begin()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_MOST_DELAY_S, self._late)

    def go(self) -> None:
        """Begins with those that are there."""
        if self._waiting:
            self._begin()

    def over(self, count: int) -> None:
        """Learns that steps are answered, or given up."""
        self._open -= count

    def _late(self) -> None:
        """Goes on without those that did not come."""
        self._expected = max(1.0, _FORGETS * self._expected)
        self._timer = None
        self._begin()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        visits, self._waiting = self._waiting, []
        try:
            self.engine.visit(visits)
        except StepwireError as error:
            for visit in visits:
                visit.failed(error)
