"""Which requests share the next run.

Plain bookkeeping: no clock, no arrays, no threads, no locks. The batcher guards it, and
the tests call it directly. All times are seconds of one clock that the caller reads.
"""

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from stepwire_server.engine.queueing import DynamicBatching, QueuePolicy
from stepwire_server.errors import Overloaded

W = TypeVar("W")

# What a level of priority is worth: a request goes before all of the level above it that
# came more than so much later. Strict levels would starve the lower ones for as long as
# the higher ones keep the model busy.
LEVEL_S = 1.0
# A model that came without a queue policy still keeps to what a request asks for.
_OWN_TIMEOUT = QueuePolicy(allow_timeout_override=True)


@dataclass(eq=False, kw_only=True)
class Ticket(Generic[W]):
    """A request that waits."""

    work: W
    rows: int
    group: Hashable  # requests of one group may share a run; None: this one runs alone
    priority: int = 0  # 1 is the highest; 0: the default
    deadline: float | None = None  # the caller's own: it is not run after that
    timeout_s: float | None = None  # how long it may wait
    arrived_at: float = 0.0
    left: bool = False  # its caller has gone
    # What the queue has noted.
    level: int = 0
    place: tuple[float, int] = (0.0, 0)  # its turn; the number tells equals apart
    alarm: float = math.inf  # when its time is over
    late_at: float = math.inf  # when its time to wait is over
    waits: bool = False


class TensorQueue(Generic[W]):
    """Waiting requests, in groups that may share a run.

    The group goes first whose first request came first, a level of priority counting as
    LEVEL_S; it takes along what else of the group waits, in that order. So nothing is
    passed over for ever, whatever its shape or priority.
    """

    def __init__(self, batching: DynamicBatching | None, max_rows: int, max_waiting: int) -> None:
        """Makes an empty queue.

        Args:
            batching: how requests wait for each other; None: not at all.
            max_rows: of one run.
            max_waiting: requests of all levels.
        """
        self._batching = batching or DynamicBatching(default_policy=_OWN_TIMEOUT)
        self._preferred = frozenset(self._batching.preferred_batch_sizes)
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        self._groups: dict[Hashable, list[Ticket[W]]] = {}  # each by turn
        self._alarms: list[tuple[float, int, Ticket[W]]] = []  # ascending
        self._levels: Counter[int] = Counter()  # how many wait on each
        self._count = 0
        self._number = 0

    def __len__(self) -> int:
        """How many requests wait."""
        return self._count

    def add(self, ticket: Ticket[W], now: float) -> None:
        """Queues a request; raises Overloaded."""
        ticket.level = self._level(ticket.priority)
        policy = self._batching.policies.get(ticket.level, self._batching.default_policy)
        _check_room(self._count, self._max_waiting)
        if policy.max_queue_size:
            _check_room(self._levels[ticket.level], policy.max_queue_size)
        ticket.arrived_at = now
        ticket.late_at = now + _timeout_s(policy, ticket.timeout_s)
        self._insert(ticket, now)

    def remove(self, ticket: Ticket[W]) -> bool:
        """Takes a request out; False: it does not wait any more."""
        if not ticket.waits:
            return False
        group = self._groups[ticket.group]
        at = bisect_left(group, ticket.place, key=_place)
        self._take_out(group, at, at + 1)
        return True

    def expire(self, now: float) -> list[Ticket[W]]:
        """Takes the requests out whose time is over; those that may be late go behind."""
        over = []
        while self._alarms and self._alarms[0][0] <= now:
            ticket = self._alarms[0][2]
            self.remove(ticket)
            policy = self._batching.policies.get(ticket.level, self._batching.default_policy)
            if policy.delays and (ticket.deadline is None or now < ticket.deadline):
                # Its turn is now that of one that comes now, and it is late only once.
                ticket.late_at = math.inf
                self._insert(ticket, now)
            else:
                over.append(ticket)
        return over

    def take(self, now: float) -> list[Ticket[W]]:
        """Takes out what runs together now; nothing where it is better to wait."""
        for group in sorted(self._groups.values(), key=_first_place):
            if count := self._ready(group, now):
                return self._take_out(group, 0, count)
        return []

    def next_at(self) -> float | None:
        """When to look again, though nothing comes meanwhile; None: never."""
        moments = [self._alarms[0][0]] if self._alarms else []
        delay_s = self._batching.max_queue_delay_s
        moments += [_oldest(group) + delay_s for group in self._groups.values()]
        return min(moments, default=None)

    def drain(self) -> list[Ticket[W]]:
        """Takes everything out."""
        left = [ticket for group in self._groups.values() for ticket in group]
        for ticket in left:
            self.remove(ticket)
        return left

    def _ready(self, group: list[Ticket[W]], now: float) -> int:
        """How many of a group run now; 0: they wait for company.

        The largest preferred size there is goes at once; else all that wait, when they fill
        the run or the oldest has waited for company as long as it may.
        """
        if group[0].group is None:
            return 1
        rows = count = preferred = 0
        full = False
        for ticket in group:
            if rows + ticket.rows > self._max_rows:
                full = True
                break
            rows += ticket.rows
            count += 1
            if rows in self._preferred:
                preferred = count
        if preferred:
            return preferred
        full = full or rows == self._max_rows
        return count if full or now >= _oldest(group) + self._batching.max_queue_delay_s else 0

    def _level(self, priority: int) -> int:
        """A priority that does not exist is the default one, as it is where none is given."""
        exists = 0 < priority <= self._batching.priority_levels
        return priority if exists else self._batching.default_priority_level

    def _insert(self, ticket: Ticket[W], now: float) -> None:
        self._number += 1
        ticket.place = (now + LEVEL_S * ticket.level, self._number)
        insort(self._groups.setdefault(ticket.group, []), ticket, key=_place)
        ticket.alarm = min(ticket.late_at, math.inf if ticket.deadline is None else ticket.deadline)
        if ticket.alarm < math.inf:
            insort(self._alarms, (ticket.alarm, self._number, ticket))
        ticket.waits = True
        self._levels[ticket.level] += 1
        self._count += 1

    def _take_out(self, group: list[Ticket[W]], start: int, end: int) -> list[Ticket[W]]:
        taken, group[start:end] = group[start:end], []
        if not group:
            del self._groups[taken[0].group]
        for ticket in taken:
            ticket.waits = False
            self._levels[ticket.level] -= 1
            if ticket.alarm < math.inf:
                del self._alarms[bisect_left(self._alarms, (ticket.alarm, ticket.place[1]))]
        self._count -= len(taken)
        return taken


def _place(ticket: Ticket[W]) -> tuple[float, int]:
    return ticket.place


def _first_place(group: list[Ticket[W]]) -> tuple[float, int]:
    return group[0].place


def _oldest(group: list[Ticket[W]]) -> float:
    return min(ticket.arrived_at for ticket in group)


def _check_room(waiting: int, most: int) -> None:
    if waiting >= most:
        raise Overloaded(f"{waiting} requests are waiting, {most} may", retry_after_s=0.5)


def _timeout_s(policy: QueuePolicy, own_s: float | None) -> float:
    """How long a request may wait: its own limit may shorten that of the policy."""
    most_s = policy.default_timeout_s or math.inf
    return min(most_s, own_s) if own_s and policy.allow_timeout_override else most_s
