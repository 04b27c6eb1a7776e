"""Tokens that wait to be told: the same as lists that grow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.engine.unsent import MOST, Unsent

END = 7


class Lists:
    """The obvious way: a list for each row."""

    def __init__(self):
        self.tokens = {}
        self.left = {}

    def add(self, slots, tokens):
        """Gives the slots that end."""
        ended = []
        for slot, token in zip(slots, tokens, strict=True):
            self.tokens.setdefault(slot, []).append(token)
            self.left[slot] -= 1
            if token == END or not self.left[slot]:
                ended.append(slot)
        return ended

    def take_all(self):
        told, self.tokens = self.tokens, {}
        return sorted(told.items())


def settle(unsent, lists, running):
    left = [lists.left[slot] for slot in running]
    unsent.settle(np.array(running, np.int64), np.array(left, np.int64))


@given(data=st.data())
def test_they_come_out_as_they_went_in_whoever_joins_leaves_and_is_told(data):
    unsent, lists, running = Unsent(6, END), Lists(), [1]
    lists.left[1] = data.draw(st.integers(1, 9))
    settle(unsent, lists, running)
    for _ in range(data.draw(st.integers(1, 30))):
        coming = data.draw(st.sets(st.integers(0, 5))) - set(running)
        lists.left |= {slot: data.draw(st.integers(1, 9)) for slot in coming}
        running = sorted({*running, *coming})
        if coming:
            settle(unsent, lists, running)
        tokens = [data.draw(st.integers(5, 9)) for _ in running]
        ended = [running[place] for place in unsent.add(np.array(tokens, np.int64))]
        assert ended == lists.add(running, tokens)
        assert [unsent.take(slot) for slot in ended] == [lists.tokens.pop(s) for s in ended]
        running = [slot for slot in running if slot not in ended]
        settle(unsent, lists, running)
        waiting = [len(lists.tokens.get(slot, [])) for slot in running]
        assert [unsent.waiting(slot) for slot in running] == waiting
        if data.draw(st.booleans()):
            assert unsent.take_all() == lists.take_all()
    assert unsent.take_all() == lists.take_all()


@pytest.mark.parametrize("end", [None, END])
def test_there_is_room_for_so_many_steps(end):
    unsent = Unsent(2, end)
    unsent.settle(np.array([0, 1]), np.array([10**6, 10**6]))
    for step in range(MOST):
        assert not unsent.is_full
        assert not len(unsent.add(np.array([step % 5, 6])))
    assert unsent.is_full
    assert unsent.take_all() == [(0, [step % 5 for step in range(MOST)]), (1, [6] * MOST)]
    assert not unsent.is_full


def test_who_left_is_not_told_of_again():
    unsent = Unsent(3, None)
    unsent.settle(np.array([0, 2]), np.array([9, 9]))
    unsent.add(np.array([3, 4]))
    assert unsent.take(0) == [3]
    assert unsent.take(0) == []
    assert unsent.take_all() == [(2, [4])]
    unsent.settle(np.array([2]), np.array([8]))
    unsent.add(np.array([5]))
    assert unsent.take_all() == [(2, [5])]
