"""The hop from an engine's thread to the event loop.

What several steps gave crosses in one hop, so that the loop's work is paid by hop and
by message, not by token.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

Post = Callable[..., Any]  # runs a function soon, on the event loop's thread


class Outbox:
    """Collects calls to make on the other side.

    `deliver` may wait for company up to a bounded delay; `flush` may not.
    """

    def __init__(self, post: Post, max_delay_s: float, peers: int = 1) -> None:
        """Makes an empty one.

        Args:
            post: the hop.
            max_delay_s: bound of the delay.
            peers: outboxes that keep the loop about as busy, this one among them.
        """
        self._post = post
        self._peers = peers
        self._max_delay_s = max_delay_s
        self._lock = threading.Lock()
        self._calls: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._sent_at = 0.0
        self._crossing = False  # a hop is under way and will take what is added now

    def add(self, function: Callable[..., None], *args: Any) -> None:
        """Puts in one call to make."""
        with self._lock:
            self._calls.append((function, args))

    def is_due(self, pause_s: float) -> bool:
        """Whether it is time to send: unless the last hop is less than a moment ago.

        Args:
            pause_s: from one round of messages to the next. That of the peers is added.
        """
        if self._crossing:
            return False
        return time.monotonic() - self._sent_at >= min(self._peers * pause_s, self._max_delay_s)

    def flush(self) -> None:
        """Sends what is there now."""
        with self._lock:
            if not self._calls or self._crossing:
                return
            self._crossing = True
        self._sent_at = time.monotonic()
        try:
            self._post(self._arrive)
        except RuntimeError:  # the event loop is closed: nobody is left to tell
            self._calls.clear()

    def _arrive(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, []
            self._crossing = False
        for function, args in calls:
            function(*args)
