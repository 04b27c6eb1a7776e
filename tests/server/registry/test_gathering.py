import asyncio

import pytest

from stepwire_server.engine.visits import Visit
from stepwire_server.errors import Overloaded
from stepwire_server.registry.gathering import Gathering


class Engine:
    """Takes steps and keeps them."""

    def __init__(self):
        self.runs = []
        self.full = False

    def visit(self, visits):
        if self.full:
            raise Overloaded("full", 0.1)
        self.runs.append(len(visits))


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def gathering(engine):
    return Gathering(engine, max_rows=8)


def visits(count=1):
    told = []
    return [
        Visit(
            reads=0,
            packed=b"",
            wanted=frozenset(),
            taken=lambda given, place: None,
            failed=told.append,
        )
        for _ in range(count)
    ], told


def add(gathering, count=1):
    some, told = visits(count)
    gathering.add(some)
    return told


async def test_a_lone_caller_never_waits(gathering, engine):
    for _ in range(5):
        add(gathering)
        gathering.over(1)
    assert engine.runs == [1] * 5


async def test_steps_wait_for_those_that_are_under_way_to_come_back(gathering, engine):
    for _ in range(4):
        add(gathering)
    assert sum(engine.runs) < 4
    await passing()
    assert sum(engine.runs) == 4
    gathering.over(4)
    engine.runs.clear()
    for _ in range(3):
        add(gathering)
    assert sum(engine.runs) <= 3


async def test_nobody_waits_for_those_who_stay_away(gathering, engine):
    add(gathering, 6)
    gathering.over(6)
    add(gathering)
    assert engine.runs == [6]
    await passing()
    assert engine.runs == [6, 1]


async def test_company_that_stays_away_is_expected_no_more(gathering, engine):
    add(gathering, 8)
    gathering.over(8)
    for _ in range(8):
        add(gathering)
        await passing()
        gathering.over(1)
    engine.runs.clear()
    add(gathering)
    assert engine.runs == [1]


async def test_a_full_run_waits_for_no_more(gathering, engine):
    add(gathering, 20)
    assert engine.runs == [20]
    for _ in range(8):
        add(gathering)
    assert sum(engine.runs) == 28


async def test_steps_that_the_engine_does_not_take_fail(gathering, engine):
    engine.full = True
    [error] = add(gathering)
    assert isinstance(error, Overloaded)


async def passing():
    """Lets the time pass for which steps may wait."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.call_later(0.003, over.set)
    await over.wait()
