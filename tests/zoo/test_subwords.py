import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_zoo.manifest import Subwords, Tokenizer
from stepwire_zoo.subwords import parts_of

LENGTHS = st.integers(1, 6)


def test_a_word_stands_between_two_marks():
    assert parts_of("cat", 3, 4) == ["<ca", "<cat", "cat", "cat>", "at>"]


def test_a_part_that_is_there_twice_is_told_once():
    assert parts_of("aaa", 1, 2) == ["<", "<a", "a", "aa", "a>", ">"]


@given(st.text(max_size=12), LENGTHS, LENGTHS)
def test_parts_are_every_run_of_those_lengths(word, one, other):
    shortest, longest = sorted((one, other))
    parts, marked = parts_of(word, shortest, longest), f"<{word}>"
    assert all(part in marked and shortest <= len(part) <= longest for part in parts)
    assert set(parts) == {
        marked[first:last]
        for first in range(len(marked))
        for last in range(first + 1, len(marked) + 1)
        if shortest <= last - first <= longest
    }


@pytest.mark.parametrize("lengths", [(0, 3), (4, 3)])
def test_lengths_that_make_no_sense_are_refused(lengths):
    tokenizer = Tokenizer(file="subwords.json", vocabulary_size=3)
    with pytest.raises(ValueError, match=r"shortest must be in \[1, longest\]"):
        Subwords(tokenizer=tokenizer, shortest=lengths[0], longest=lengths[1])
