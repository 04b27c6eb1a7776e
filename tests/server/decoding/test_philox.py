import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.decoding.philox import BLOCK, Draws, philox4x32, uniforms

# Known answers published with Random123 (kat_vectors, philox4x32 with 10 rounds).
KNOWN = [
    ("00000000" * 4, "00000000" * 2, "6627e8d5e169c58dbc57ac4c9b00dbd8"),
    ("ffffffff" * 4, "ffffffff" * 2, "408f276d41c83b0ea20bc7c66d5451fd"),
    (
        "243f6a8885a308d313198a2e03707344",
        "a4093822299f31d0",
        "d16cfe0994fdcceb5001e42024126ea1",
    ),
]


def words(text):
    return np.array([[int(text[i : i + 8], 16)] for i in range(0, len(text), 8)], np.uint64)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_it_gives_the_published_numbers(counter, key, answer):
    np.testing.assert_array_equal(philox4x32(words(counter), words(key)), words(answer))


def draw(seed, sample, position):
    """One number, computed from nothing but its coordinates."""
    block, place = divmod(position, BLOCK)
    return uniforms(np.array([seed], np.uint64), np.array([sample]), np.array([block]))[0, place]


positions = st.integers(0, 10**6)


@given(st.integers(0, 2**64 - 1), st.integers(0, 1000), positions)
def test_a_draw_lies_in_the_unit_interval_and_does_not_depend_on_its_neighbours(seed, sample, at):
    alone = draw(seed, sample, at)
    seeds = np.array([1, seed, 2**63], np.uint64)
    together = uniforms(seeds, np.array([0, sample, 5]), np.array([9, at // BLOCK, 0]))
    assert 0 <= alone < 1
    assert together[1, at % BLOCK] == alone


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 9), positions), min_size=1))
def test_rows_that_draw_step_by_step_get_the_numbers_of_their_positions(rows):
    draws = Draws(len(rows))
    for slot, row in enumerate(rows):
        draws.place(slot, *row)
    for step in range(3):
        numbers = draws.next(np.arange(len(rows)))
        assert numbers.tolist() == [draw(seed, n, at + step) for seed, n, at in rows]


def test_seed_sample_and_position_each_give_other_draws():
    draws = {draw(*at) for at in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (1 + 2**32, 0, 0))}
    assert len(draws) == 5


def test_draws_are_spread_evenly():
    blocks = 1250
    numbers = uniforms(np.full(blocks, 7, np.uint64), np.zeros(blocks, int), np.arange(blocks))
    assert len(np.unique(numbers)) == numbers.size
    share = np.histogram(numbers, 10, (0, 1))[0] / numbers.size
    np.testing.assert_allclose(share, 0.1, atol=0.01)


def test_these_draws_are_frozen():
    """A changed draw would change every sampled text that was ever made with a seed."""
    assert [draw(1234, 0, position) for position in range(3)] == FROZEN


FROZEN = [0.12720795181893485, 0.26564886788745756, 0.6208323363941803]
