import csv
from pathlib import Path

import torch

from stepwire_training import compare_caches
from stepwire_training.card import RECIPES
from stepwire_training.models.cached import Read


def said_of(words: torch.Tensor) -> Read:
    """A model that says one thing before each word, and knows nothing of what comes."""
    told = torch.nn.functional.one_hot(words % 4, 4).float()[:, :-1]
    scores = torch.full((len(words), words.shape[1] - 1), 0.01).log()
    return Read(told, words[:, :-1], words[:, 1:], scores)


def test_a_cache_is_chosen_on_one_text_and_measured_on_another():
    turns = said_of(torch.arange(90).repeat(2, 1) % 4)
    row = compare_caches.measured(turns, turns, 8, 3)
    alone = compare_caches.measured(turns, turns, 0, 0)

    assert row[:3] == ("8", "3", "0")
    assert alone[3] == "100.0"
    assert float(row[3]) < 20


def test_the_document_shows_the_table_as_it_was_written():
    document = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    with (RECIPES / compare_caches.TABLE).open(newline="") as file:
        rows = list(csv.reader(file))

    assert tuple(rows[0]) == compare_caches.HEADING
    assert len(rows) == 1 + len(compare_caches.CACHES)
    for row in rows:
        assert f"| {' | '.join(row)} |" in document
