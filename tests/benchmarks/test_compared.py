"""The page that compares classifiers says what their manifests and the results say."""

import csv

import pytest

from benchmarks import compared


def test_a_table_replaces_the_one_that_was_there():
    page = (
        "a\n<!-- figures -->\nold\n<!-- end of figures -->\nb <!-- kinds --><!-- end of kinds -->"
    )
    new = compared.replaced(page, "figures", compared.table([("x", "y"), ("1", "2")]))

    wanted = "| x | y |\n| --- | --- |\n| 1 | 2 |"
    assert new == page.replace("old", wanted)
    assert compared.replaced(new, "figures", wanted) == new


@pytest.mark.parametrize("name", compared.BUNDLES)
def test_the_page_tells_the_figures_of_every_bundle(name):
    manifest = compared.open_bundle(compared.ZOO / name / "1").manifest
    *told, speed = compared.row(manifest, {"value": 1234.5})

    assert f"| {' | '.join(told)} |" in compared.PAGE.read_text()
    assert speed == "1,234"


def test_the_page_tells_what_they_go_by():
    with compared.KINDS.open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == list(compared.BUNDLES)
    assert compared.table(rows) in compared.PAGE.read_text()
