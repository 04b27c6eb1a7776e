import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.engine.slots import SlotPool

START = {"h": np.zeros((2, 3), np.float32), "c": np.full(2, 7, np.int64)}


def test_a_reused_slot_starts_afresh():
    pool = SlotPool(1, START)
    slot = pool.acquire()
    pool.write(np.array([slot]), {"h": np.ones((1, 2, 3)), "c": np.ones((1, 2))})
    pool.release(slot)
    state = pool.read(pool.acquire())
    assert all(np.array_equal(state[name], START[name]) for name in START)


def test_a_state_that_is_brought_along_is_kept():
    pool = SlotPool(2, START)
    state = {"h": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.array([1, 2])}
    slot = pool.acquire(state)
    assert all(np.array_equal(pool.read(slot)[name], state[name]) for name in state)


def test_what_is_read_does_not_change_when_the_slot_does():
    pool = SlotPool(1, START)
    slot = pool.acquire()
    read = pool.read(slot)
    pool.write(np.array([slot]), {"h": np.ones((1, 2, 3)), "c": np.ones((1, 2))})
    assert not read["h"].any()


@given(st.sets(st.integers(0, 5), min_size=1))
def test_writing_then_gathering_gives_the_same_rows_and_touches_no_other(chosen):
    pool = SlotPool(6, START)
    for _ in range(6):
        pool.acquire()
    slots = np.array(sorted(chosen))
    state = {
        "h": np.random.default_rng(0).normal(size=(len(slots), 2, 3)).astype(np.float32),
        "c": np.arange(2 * len(slots)).reshape(-1, 2),
    }
    pool.write(slots, state)
    gathered = pool.gather(slots)
    assert all(np.array_equal(gathered[name], state[name]) for name in state)
    for other in set(range(6)) - chosen:
        assert not pool.read(other)["h"].any()


def test_the_lowest_slot_is_taken_first():
    pool = SlotPool(3, START)
    slots = [pool.acquire() for _ in range(3)]
    pool.release(2)
    pool.release(0)
    assert slots == [0, 1, 2]
    assert [pool.acquire(), pool.acquire(), pool.free] == [0, 2, 0]
