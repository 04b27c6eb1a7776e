import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stepwire_training import compare_answers
from stepwire_training.card import RECIPES as TABLES
from stepwire_training.recipes import RECIPES


@pytest.fixture(scope="module")
def data():
    return RECIPES["tiny-answerer"]().data.load()


def test_what_is_counted_are_answers_with_their_beginnings_and_ends(data):
    counted = compare_answers.answers(data)
    held_out = data.translations
    first = counted[: 1 + np.flatnonzero(counted == held_out.end)[0]].tolist()

    assert first == [held_out.begin, *data.train.pairs[0][1], held_out.end]
    assert (counted == held_out.begin).sum() == (counted == held_out.end).sum() == 620


def test_questions_make_no_difference(data):
    order, by_token, by_character = compare_answers.measured(data, 2)
    held_out = data.translations
    turned = [pair._replace(source="7.") for pair in held_out.tests["test"]]
    other = replace(data, translations=replace(held_out, tests={"test": turned}))

    assert order == "2"
    assert 1 < float(by_character) < float(by_token) < 10
    assert compare_answers.measured(other, 2) == (order, by_token, by_character)


def test_the_lecture_shows_the_table_as_it_was_written():
    page = Path(__file__).parents[2] / "docs" / "lectures" / "conversation.md"
    with (TABLES / compare_answers.TABLE).open(newline="") as file:
        rows = list(csv.reader(file))

    assert tuple(rows[0]) == compare_answers.HEADING
    for row in rows[1:]:
        assert " | ".join(row[1:]) in page.read_text(encoding="utf-8")
