"""Questions and answers: what is held out is learned from nowhere."""

import unicodedata

import pytest

from stepwire_training.data import chat
from stepwire_training.data.batches import Pair
from stepwire_training.data.fetch import Source
from stepwire_training.data.parallel import Cutting, plain


def pair(number: int) -> Pair:
    return Pair(f"질문 {number}", f"대답 {number % 400}")


PAIRS = [*map(pair, range(1_200)), Pair("질문 7", "다른 대답"), Pair("질문, 8!", "또 다른 대답")]


@pytest.fixture(scope="module")
def splits():
    return chat.split(PAIRS)


def test_no_question_is_in_two_splits_and_no_pair_is_lost(splits):
    test = splits.tests["test"]
    parts = [{plain(p.source) for p in part} for part in (splits.train, splits.dev, test)]

    assert [len(part) for part in parts] == [200, 500, 500]
    assert sum(len(part) for part in parts) == len(set.union(*parts))
    assert sorted([*splits.train, *splits.dev, *test]) == sorted(PAIRS)
    assert chat.overlap(splits) == 0


def test_a_question_that_leaks_is_counted(splits):
    splits.train.append(Pair(splits.dev[0].source.replace(" ", "  ") + "?!", "무엇이든"))
    found = chat.overlap(splits)
    splits.train.pop()

    assert found == 1


def test_the_test_pairs_fall_into_answers_that_are_known_and_new_ones(splits):
    learned = {plain(p.target) for p in splits.train}
    known, new = splits.tests[chat.KNOWN], splits.tests[chat.NEW]

    assert known
    assert new
    assert sorted([*known, *new]) == sorted(splits.tests["test"])
    assert {plain(p.target) for p in known} <= learned
    assert not {plain(p.target) for p in new} & learned


def test_swapped_questions_are_those_of_the_pair_before(splits):
    test, swapped = splits.tests["test"], splits.tests[chat.SWAPPED]

    assert [p.target for p in swapped] == [p.target for p in test]
    assert [p.source for p in swapped] == [p.source for p in [test[-1], *test[:-1]]]


def test_pairs_that_differ_in_case_and_punctuation_are_one():
    pairs = [Pair("가자!", "네."), Pair("가자", "네!"), Pair("가자", "아니요."), Pair("SNS", "네")]

    assert chat.distinct([*pairs, Pair("sns", "네.")]) == [pairs[0], pairs[2], pairs[3]]


def test_the_script_is_composed_and_keeps_commas_in_quotes(monkeypatch):
    content = unicodedata.normalize("NFD", 'Q,A,label\n" 가, 나 ",다 라.,0\n').encode()
    monkeypatch.setattr(Source, "read", lambda self: content)

    assert chat.script() == [Pair("가, 나", "다 라.")]


def test_a_data_set_says_what_it_left_out(monkeypatch):
    monkeypatch.setattr(chat, "script", lambda: [*PAIRS, PAIRS[0]])
    data = chat.Chat(cutting=Cutting(vocabulary=60, rows=32, seed=1)).load()

    assert data.facts["repeated pairs left out"] == 1
    assert data.facts["questions held out that are learned from"] == 0
    assert data.translations.free
