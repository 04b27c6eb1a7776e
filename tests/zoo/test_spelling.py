import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepwire_zoo.spelling import spelled


def test_a_short_word_is_padded_behind():
    assert spelled([[3, 4], []], 4).tolist() == [[3, 4, 0, 0], [0, 0, 0, 0]]


def test_a_long_word_is_read_by_its_ends():
    assert spelled([[1, 2, 3, 4, 5, 6, 7]], 5).tolist() == [[1, 2, 5, 6, 7]]


@given(st.lists(st.lists(st.integers(1, 9), max_size=12), max_size=4), st.integers(1, 8))
def test_every_row_begins_and_ends_as_its_word(words, width):
    rows = spelled(words, width)
    assert rows.shape == (len(words), width)
    assert rows.dtype == np.int64
    for row, word in zip(rows.tolist(), words, strict=True):
        if len(word) <= width:
            assert row == word + [0] * (width - len(word))
        else:
            head = width // 2
            assert row == word[:head] + word[len(word) - (width - head) :]
