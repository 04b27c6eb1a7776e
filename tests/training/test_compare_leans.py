import csv
from pathlib import Path

from stepwire_training import compare_leans
from stepwire_training.card import RECIPES
from stepwire_training.interrupt import Interrupt


def test_runs_differ_in_lean_alone_and_in_their_names():
    recipes = compare_leans.compared().values()

    assert len({recipe.model.lean for recipe in recipes}) == 4
    assert len({recipe.bundle for recipe in recipes}) == 4
    assert len({repr(recipe.data) for recipe in recipes}) == 1


def test_a_row_has_the_accuracy_after_each_quarter_and_their_mean(stream):
    row = compare_leans.measure(stream.recipe, stream.dataset, stream.runs, Interrupt())
    *quarters, mean = map(float, row)

    assert len(quarters) == 4
    assert abs(mean - sum(quarters) / 4) < 1e-4
    assert len(compare_leans.HEADING) == 1 + len(row)


def test_the_document_shows_the_table_as_it_was_written():
    document = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    with (RECIPES / compare_leans.TABLE).open(newline="") as file:
        rows = list(csv.reader(file))

    assert tuple(rows[0]) == compare_leans.HEADING
    assert [row[0] for row in rows[1:]] == list(compare_leans.compared())
    for row in rows:
        assert f"| {' | '.join(row)} |" in document
