import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.decoding.philox import philox4x32, uniforms

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
    columns = (np.array([seed], np.uint64), np.array([sample]), np.array([position]))
    return float(uniforms(*columns)[0])


@given(st.integers(0, 2**64 - 1), st.integers(0, 1000), st.integers(0, 10**6))
def test_a_draw_lies_in_the_unit_interval_and_does_not_depend_on_its_neighbours(seed, sample, at):
    alone = draw(seed, sample, at)
    seeds = np.array([1, seed, 2**63], np.uint64)
    together = uniforms(seeds, np.array([0, sample, 5]), np.array([9, at, 0]))
    assert 0 <= alone < 1
    assert together[1] == alone


def test_seed_sample_and_position_each_give_other_draws():
    draws = {draw(*at) for at in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (1 + 2**32, 0, 0))}
    assert len(draws) == 5


def test_draws_are_spread_evenly():
    count = 20_000
    numbers = uniforms(np.full(count, 7, np.uint64), np.zeros(count, int), np.arange(count))
    np.testing.assert_allclose(np.histogram(numbers, 10, (0, 1))[0] / count, 0.1, atol=0.01)


def test_these_draws_are_frozen():
    """A changed draw would change every sampled text that was ever made with a seed."""
    assert [draw(1234, 0, position) for position in range(3)] == FROZEN


FROZEN = [0.12720795181893485, 0.6208323363941803, 0.24917273805115403]
