"""How busy an engine is, and what is refused because of it.

Plain bookkeeping. A model's engines are judged together, one that is alone by itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stepwire_server.config import BatchingConfig
from stepwire_server.errors import Overloaded, check_range


class Load(NamedTuple):
    """What an engine, or some together, have to do."""

    rows: int = 0  # slots that jobs hold, or may still need
    waiting: int = 0  # prompts in the queue, and those that are promised
    visits: int = 0  # single steps in the queue
    parked: int = 0  # prompts whose reader is too far behind

    @classmethod
    def of(cls, loads: Sequence["Load"]) -> "Load":
        """Some together."""
        return cls(*map(sum, zip(*loads, strict=True)))

    @property
    def work(self) -> int:
        """What to compare engines by."""
        return self.rows + self.waiting + self.visits


def check_prompts(widths: Sequence[int], waiting: int, config: BatchingConfig) -> None:
    """Checks that prompts may be queued.

    Args:
        widths: the slots that each may need.
        waiting: how many wait already.
        config: what may.

    Raises:
        InvalidRequest: one is wider than all slots of an engine, or they are more than the
            queue holds: they could never start.
        Overloaded: the queue has no room for them now.
    """
    for width in widths:
        check_range("n", width, 1, config.max_rows)
    check_range("number of prompts", len(widths), 1, config.max_waiting)
    if waiting + len(widths) > config.max_waiting:
        raise Overloaded(
            f"{waiting} prompts are waiting, {config.max_waiting} may", retry_after_s=0.5
        )


def check_visits(count: int, waiting: int, most_waiting: int) -> None:
    """Checks that single steps may be queued.

    Raises:
        InvalidRequest: they are more than may ever wait.
        Overloaded: they are too many now.
    """
    check_range("number of rows", count, 1, most_waiting)
    if waiting + count > most_waiting:
        raise Overloaded(f"{waiting} steps are waiting, {most_waiting} may", retry_after_s=0.1)


def check_parked(parked: int, config: BatchingConfig) -> None:
    """Raises Overloaded where too many readers are behind."""
    if parked >= config.max_parked:
        raise Overloaded(f"{parked} prompts are not being read", retry_after_s=1.0)
