import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stepwire_server.registry.nearest import added, multiplied, nearest

COSINES = st.floats(-1, 1, width=32).map(lambda x: round(x, 1))  # so that some are equal
WORDS = [f"w{number}" for number in range(30)]


@given(arrays(np.float32, 30, elements=COSINES), st.integers(1, 40), st.sets(st.integers(0, 29)))
def test_the_nearest_are_the_first_of_all_in_order(scores, k, left_out):
    allowed = [number for number in range(1, 30) if number not in left_out]
    order = sorted(allowed, key=lambda number: (-scores[number], number))[:k]
    found = nearest(scores, k, list(left_out), WORDS)
    assert found == [(WORDS[number], float(scores[number])) for number in order]


def test_scores_are_left_as_they_were():
    scores = np.ones(30, np.float32)
    nearest(scores, 3, [4], WORDS)
    assert (scores == 1).all()


def test_a_word_that_is_near_the_one_and_far_from_the_other_comes_first():
    near, far = np.array([0.9, 0.9, 0.1], np.float32), np.array([0.8, -0.8, 0.1], np.float32)
    for method in (added, multiplied):
        assert method([near], [far]).argmax() == 1


def test_a_cosine_that_rounding_took_out_of_its_range_is_no_matter():
    one = np.array([1.0000001, -1.0000001], np.float32)
    assert np.isfinite(multiplied([one], [one])).all()
    assert multiplied([one], []).tolist() == [1.0, 0.0]
