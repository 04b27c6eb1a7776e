import csv
from pathlib import Path

import numpy as np

from stepwire_training import compare_orders
from stepwire_training.card import RECIPES


def test_a_row_measures_what_was_not_counted():
    rng = np.random.default_rng(0)
    learned, held_out = np.arange(2_000) % 4, rng.integers(4, size=222)
    order, loss, contexts, _ = compare_orders.measured(np.append(learned, held_out), 3, 5)

    assert (order, contexts) == ("3", "8")  # of one token and of two
    assert float(loss) > np.log(4)  # what was counted is no help there


def test_the_document_shows_the_table_as_it_was_written():
    document = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    with (RECIPES / compare_orders.TABLE).open(newline="") as file:
        rows = list(csv.reader(file))

    assert tuple(rows[0]) == compare_orders.HEADING
    assert [row[0] for row in rows[1:]] == list(map(str, compare_orders.ORDERS))
    for row in rows:
        assert f"| {' | '.join(row)} |" in document
