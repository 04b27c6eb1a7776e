import numpy as np
import pytest

from stepwire_training.data.corpus import Counted, count

TEXTS = [["cats", "sleep"], ["cats", "cast"], ["cats", "sleep", "rarely"], ["cast"]]


@pytest.fixture
def known():
    return count(TEXTS, Counted(cutting="english", at_least=2, parts=50, in_words=2))


def test_words_that_are_seen_often_enough_are_numbered_from_the_commonest(known):
    assert known.words == ["<unk>", "cats", "cast", "sleep"]
    assert known.counts.tolist() == [0, 3, 2, 2]


def test_parts_are_those_that_stand_in_several_words(known):
    parts = known.parts.get_vocab()
    assert parts.keys() == {"<ca"}
    assert known.parts_in("cattle") == [4]
    assert known.parts_in("dog") == []


def test_a_word_is_made_of_itself_and_of_its_parts(known):
    nothing = 5
    assert known.made_of.tolist() == [
        [nothing, nothing],
        [1, 4],
        [2, 4],
        [3, nothing],
    ]


def test_without_parts_a_word_is_made_of_itself():
    known = count(TEXTS, Counted(cutting="english", at_least=2))
    assert known.parts is None
    assert known.made_of.tolist() == [[4], [1], [2], [3]]


def test_a_corpus_leaves_unknown_words_out(known):
    corpus = known.corpus([*TEXTS, ["nobody"]])
    assert corpus.ids.tolist() == [1, 3, 1, 2, 1, 3, 2]
    assert corpus.owners.tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_hangul_may_be_cut_into_jamo():
    texts = [["밥을", "밥이", "물을", "물이"]] * 5
    whole, jamo = (
        count(texts, Counted(cutting="korean", parts=99, in_words=2, units=units))
        for units in ("syllables", "jamo")
    )
    # 밥은 has no syllables of three in common with these words, but letters it has.
    assert whole.parts_in("밥은") == []
    assert len(jamo.parts_in("밥은")) > 3


def test_of_very_many_parts_the_first_are_read():
    texts = [["abcdefgh", "abcdefghi"]] * 5
    known = count(texts, Counted(cutting="english", parts=99, in_words=2, most_parts=4))
    first = [known.parts.id_to_token(number - 3) for number in known.parts_in("abcdefghij")]
    assert first == ["<ab", "<abc", "<abcd", "<abcde"]
    assert known.made_of.shape == (3, 5)
    assert np.array_equal(known.made_of[1, 1:], known.made_of[2, 1:])
