import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_training.data.corpus import Counted, count
from stepwire_training.data.likeness import Likeness, Question
from stepwire_training.measure_vectors import Asked, ranks, spearman

WORDS = ("king", "queen", "man", "woman", "apple")
VECTORS = {"king": (3, 1), "queen": (3, -1), "man": (0.5, 1), "woman": (0.5, -1), "apple": (-1, 0)}


@pytest.fixture(scope="module")
def asked():
    texts = [[*WORDS, "kin", "kind"]] * 5
    known = count(texts, Counted(cutting="english", parts=3, in_words=2))
    vectors = [VECTORS.get(word, (0.1, 0.1)) for word in known.words]
    return Asked(np.array([(0, 0), *vectors[1:], (2, 1), (1, 1), (0, 1)], np.float32), known)


def test_rank_correlation_is_one_if_the_order_is_that_of_people(asked):
    pairs = [
        Likeness("King", "man", 8.0),
        Likeness("king", "queen", 9.0),
        Likeness("king", "apple", 1.0),
        Likeness("king", "nobody", 5.0),
    ]
    rho, made, known = asked.agreement("set", pairs)
    assert (rho.name, rho.split, rho.value) == ("Spearman's rho", "set, known words", 1.0)
    assert made.split == "set, subwords too"
    assert (known.name, known.value) == ("known", 0.75)


def test_a_word_that_is_unknown_is_the_mean_of_its_parts(asked):
    rows = asked._known.parts_in("kinship")
    assert rows
    np.testing.assert_allclose(asked.vector("kinship"), asked._table[rows].mean(axis=0))
    assert asked.vector("zzz") is None


def test_analogies_count_where_all_four_words_are_known(asked):
    questions = [
        Question("man", "king", "woman", "queen"),
        Question("MAN", "KING", "WOMAN", "QUEEN"),
        Question("man", "king", "woman", "apple"),
        Question("man", "king", "woman", "nobody"),
    ]
    added, multiplied, known = asked.analogies("set", questions)
    assert (added.value, multiplied.value) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert known.value == 0.75


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_equal_values_share_the_mean_of_their_places(values):
    found = ranks(np.array(values, float))
    for value, rank in zip(values, found, strict=True):
        places = [place for place, it in enumerate(sorted(values), start=1) if it == value]
        assert rank == pytest.approx(np.mean(places))


def test_rank_correlation_of_an_example_done_by_hand():
    found, wanted = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert spearman(found, wanted) == pytest.approx(1 - 6 * 2 / (4 * 15))
