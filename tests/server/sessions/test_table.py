import sys

import pytest

from stepwire_server.config import SessionLimits
from stepwire_server.errors import (
    Overloaded,
    SessionEvicted,
    SessionExpired,
    SessionNotFound,
    StartupError,
)
from stepwire_server.sessions.keys import KeyRing
from stepwire_server.sessions.session import Beginning
from stepwire_server.sessions.table import SessionTable

RING = KeyRing.fresh()


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table_of(clock):
    return lambda **limits: SessionTable(RING, SessionLimits(**limits), clock, clock)


def begin(size=100, **fields):
    return Beginning(model="tiny", version="1", packed=bytes(size), **fields)


def test_a_session_is_found_by_its_opener_and_by_nobody_else(table_of):
    table = table_of()
    session = table.open("me", begin())
    assert table.find("me", session.id) is session
    for owner, session_id in (("you", session.id), ("me", "x" + session.id[1:]), ("me", "")):
        with pytest.raises(SessionNotFound, match=r"^no such session$"):
            table.find(owner, session_id)


def test_ids_cannot_be_guessed_from_one_another(table_of):
    table = table_of()
    first, second = table.open("me", begin()).id, table.open("me", begin()).id
    assert first != second
    assert sum(a == b for a, b in zip(first, second, strict=True)) < len(first) / 2


def test_a_session_expires_when_it_is_not_used(table_of, clock):
    table = table_of(idle_s=10.0)
    session = table.open("me", begin())
    clock.now += 9
    assert table.find("me", session.id) is session
    clock.now += 9
    assert table.find("me", session.id) is session
    clock.now += 10
    for _ in range(2):
        with pytest.raises(SessionExpired):
            table.find("me", session.id)
    assert list(table.expired()) == [session]
    table.end(session, SessionExpired)
    assert (len(table), table.total_bytes) == (0, 0)
    with pytest.raises(SessionExpired):
        table.find("me", session.id)


def test_a_session_expires_when_it_is_old_however_often_it_is_used(table_of, clock):
    table = table_of(idle_s=10.0, lifetime_s=25.0)
    session = table.open("me", begin())
    for _ in range(3):
        clock.now += 8
        table.find("me", session.id)
    clock.now += 8
    with pytest.raises(SessionExpired):
        table.find("me", session.id)


def test_an_id_tells_that_it_is_old_when_nobody_remembers_it(table_of, clock):
    session_id = table_of(lifetime_s=50.0).open("me", begin()).id
    other = table_of()  # the same key, another process
    with pytest.raises(SessionNotFound):
        other.find("me", session_id)
    clock.now += 60
    with pytest.raises(SessionExpired):
        other.find("me", session_id)
    with pytest.raises(SessionNotFound):
        other.find("you", session_id)


def test_a_closed_session_is_as_if_it_never_was(table_of):
    table = table_of()
    session = table.open("me", begin())
    table.close(session)
    with pytest.raises(SessionNotFound):
        table.find("me", session.id)
    assert table.of_owner("me") == []
    table.close(session)


def test_whoever_was_not_used_for_longest_makes_room(table_of, clock):
    table = table_of(max_sessions=2, evictable_after_s=5.0)
    first, second = table.open("me", begin()), table.open("you", begin())
    clock.now += 6
    table.find("me", first.id)
    third = table.open("she", begin())
    assert table.find("me", first.id) is first
    assert table.find("she", third.id) is third
    with pytest.raises(SessionEvicted):
        table.find("you", second.id)


def test_sessions_in_use_never_make_room(table_of, clock):
    table = table_of(max_sessions=1, evictable_after_s=5.0)
    attached = table.open("me", begin())
    attached.attached = True
    clock.now += 100
    with pytest.raises(Overloaded):
        table.open("you", begin())
    attached.attached = False
    table.find("me", attached.id)  # just used
    with pytest.raises(Overloaded):
        table.open("you", begin())


def test_a_caller_has_so_many_sessions_and_bytes_and_others_are_not_bothered(table_of):
    table = table_of(max_sessions_per_owner=2, max_bytes_per_owner=1000)
    table.open("me", begin())
    table.open("me", begin())
    with pytest.raises(Overloaded, match="2 sessions"):
        table.open("me", begin())
    table.open("you", begin(600))
    with pytest.raises(Overloaded, match="600 bytes"):
        table.open("you", begin(600))


def test_snapshots_and_answers_count(table_of):
    table = table_of(max_bytes=1000)
    session = table.open("me", begin(400))
    session.snapshots = ((0, bytes(400)),)
    table.count(session)
    assert table.total_bytes == 800
    with pytest.raises(Overloaded):
        table.open("you", begin(400))
    table.end(session, SessionExpired)
    assert table.total_bytes == 0


def test_ten_thousand_sessions_opened_and_abandoned_leave_nothing_behind(table_of, clock):
    table = table_of(idle_s=10.0)
    for number in range(10_000):
        table.open(f"caller {number % 7}", begin())
    clock.now += 11
    gone = list(table.expired())
    for session in gone:
        table.end(session, SessionExpired)
    assert len(gone) == 10_000
    assert (len(table), table.total_bytes) == (0, 0)


def test_an_idle_session_costs_little_beyond_its_state(table_of):
    table = table_of()
    session = table.open("me", begin(8192))
    parts = [session, *(getattr(session, name) for name in ("id", "packed", "opened_at"))]
    assert sum(map(sys.getsizeof, parts)) - 8192 < 700


@pytest.mark.parametrize("name", ["max_sessions", "idle_s", "max_window"])
def test_a_limit_of_nothing_is_refused(name):
    with pytest.raises(StartupError, match=name):
        SessionLimits(**{name: 0})
