"""All sessions of a server: who has which, how many there may be, and when they end.

Lives on the event loop's thread.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from stepwire_server.config import SessionLimits
from stepwire_server.errors import (
    Overloaded,
    SessionEvicted,
    SessionExpired,
    SessionNotFound,
    StepwireError,
)
from stepwire_server.sessions import ids
from stepwire_server.sessions.holdings import RETRY_AFTER_S, Holdings
from stepwire_server.sessions.keys import KeyRing
from stepwire_server.sessions.session import Beginning, Session

MOST_REMEMBERED = 10_000  # ended sessions of which it is known why


class SessionTable:
    """Finds, opens and ends sessions. The least recently used one stands first."""

    def __init__(
        self,
        ring: KeyRing,
        limits: SessionLimits,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ring = ring
        self._now = now
        self._wall = wall
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._of_owner: dict[str, dict[str, Session]] = {}  # by owner, then id, oldest first
        self._holdings = Holdings(limits, "sessions", "close some")
        self._gone: OrderedDict[str, type[StepwireError]] = OrderedDict()
        self.evicted = 0  # sessions that had to make room, so far
        self.limits = limits

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        """Goes through all sessions, the least recently used first."""
        return iter(list(self._sessions.values()))

    @property
    def total_bytes(self) -> int:
        """What all sessions take."""
        return self._holdings.total_bytes

    def open(self, owner: str, begin: Beginning) -> Session:
        """Begins a session.

        Raises:
            Overloaded: the owner has all that it may have, or the server has no room.
        """
        self._holdings.check(owner, len(begin.packed))
        self._make_room(len(begin.packed))
        now = self._now()
        session = Session(
            id=ids.make(self._ring, owner, self._wall() + self.limits.lifetime_s),
            owner=owner,
            opened_at=now,
            used_at=now,
            **vars(begin),
        )
        self._sessions[session.id] = session
        self._of_owner.setdefault(owner, {})[session.id] = session
        self._holdings.add(owner)
        self.count(session)
        return session

    def find(self, owner: str, session_id: str) -> Session:
        """Finds a session of a caller, and counts it as used.

        Raises:
            SessionNotFound, SessionExpired, SessionEvicted: there is none any more.
        """
        session, now = self._sessions.get(session_id), self._now()
        if session is not None and session.owner == owner:
            if self._is_over(session, now):  # `expired` gives it to who ends it
                raise SessionExpired("the session has expired")
            session.used_at = now
            self._sessions.move_to_end(session_id)
            return session
        raise self._why_not(owner, session_id)

    def peek(self, session_id: str) -> Session | None:
        """A session whoever has it, not counted as used."""
        return self._sessions.get(session_id)

    def count(self, session: Session) -> None:
        """Counts anew what a session takes, after it has changed."""
        if session.id not in self._sessions:
            return
        size = session.size_bytes
        self._holdings.grow(session.owner, size - session.counted_bytes)
        session.counted_bytes = size

    def of_owner(self, owner: str) -> list[Session]:
        """The sessions of a caller, oldest first."""
        return list(self._of_owner.get(owner, {}).values())

    def close(self, session: Session) -> None:
        """Ends a session because its owner wants it."""
        self.end(session, SessionNotFound)

    def end(self, session: Session, why: type[StepwireError]) -> None:
        """Forgets a session; whoever asks for it later is told why."""
        if self._sessions.pop(session.id, None) is None:
            return
        if session.lease:
            session.lease.release()
        self._holdings.grow(session.owner, -session.counted_bytes)
        self._holdings.remove(session.owner)
        held = self._of_owner[session.owner]
        del held[session.id]
        if not held:
            del self._of_owner[session.owner]
        if why is not SessionNotFound:
            self._gone[session.id] = why
            if len(self._gone) > MOST_REMEMBERED:
                self._gone.popitem(last=False)

    def expired(self) -> Iterator[Session]:
        """The sessions whose time is over; `end` them."""
        now = self._now()
        return iter([each for each in self._sessions.values() if self._is_over(each, now)])

    def idle_s_left(self, session: Session) -> float:
        """Seconds until it expires if it is not used."""
        return max(0.0, session.used_at + self.limits.idle_s - self._now())

    def lifetime_s_left(self, session: Session) -> float:
        """Seconds until it expires whatever happens."""
        return max(0.0, session.opened_at + self.limits.lifetime_s - self._now())

    def _is_over(self, session: Session, now: float) -> bool:
        if session.pending:  # it is being used
            return False
        limits = self.limits
        idle = now - session.used_at >= limits.idle_s
        return idle or now - session.opened_at >= limits.lifetime_s

    def _make_room(self, size_bytes: int) -> None:
        """Evicts whoever was not used for longest, if that is long enough."""
        now = self._now()
        while self._holdings.are_full(size_bytes):
            oldest = next(iter(self._sessions.values()), None)
            if oldest is None or not self._is_evictable(oldest, now):
                raise Overloaded(
                    f"the server holds {len(self._sessions)} sessions, all that it may",
                    RETRY_AFTER_S,
                )
            self.end(oldest, SessionEvicted)
            self.evicted += 1

    def _is_evictable(self, session: Session, now: float) -> bool:
        unused = now - session.used_at >= self.limits.evictable_after_s
        return unused and not session.attached and not session.pending

    def _why_not(self, owner: str, session_id: str) -> StepwireError:
        sealed = ids.read(self._ring, session_id, owner)
        if sealed is None:
            return SessionNotFound("no such session")
        why = self._gone.get(session_id)
        if why is SessionEvicted:
            return SessionEvicted("the session was evicted: the server needed its room")
        if why is SessionExpired or self._wall() >= sealed.ends_at:
            return SessionExpired("the session has expired")
        return SessionNotFound("no such session")
