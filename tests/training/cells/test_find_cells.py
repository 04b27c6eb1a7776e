"""Cells are found where they were planted, and tried where they were not chosen."""

import csv
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stepwire_training import find_cells
from stepwire_training.cells.drawing import Panel, drawn, laid_out
from stepwire_training.cells.marks import in_quotes
from stepwire_training.cells.probes import Found, Together, base_rate, best_probe
from stepwire_training.cells.reading import BEFORE, memories
from stepwire_training.data.long_texts import LongText, Parts
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipes import RECIPES
from stepwire_training.train import train
from stepwire_zoo.bundle import open_bundle

CELLS, PLANTED = 7, 4


def planted(marks, sign=1.0, seed=0):
    """Noise, and one cell that lies 0.4 higher or lower where a mark is."""
    rng = np.random.default_rng(seed)
    activations = rng.uniform(-0.3, 0.3, (len(marks), CELLS))
    activations[:, PLANTED] += sign * np.where(marks, 0.3, -0.3)
    return activations.astype(np.float16)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_the_planted_cell_is_found(sign, share):
    marks = np.random.default_rng(1).random(3_000) < share
    probe = best_probe(planted(marks, sign), marks)

    assert (probe.cell, probe.above) == (PLANTED, sign > 0)
    assert Found.of(probe.says(planted(marks, sign, seed=2)), marks).accuracy > 0.95


def test_a_threshold_is_the_best_of_all_that_could_be():
    rng = np.random.default_rng(0)
    marks, activations = rng.random(200) < 0.4, rng.uniform(-1, 1, (200, 3)).astype(np.float16)
    probe = best_probe(activations, marks)

    by_hand = max(
        float(((activations[:, cell].astype(np.float32) > step / 100 - 1) == side).mean())
        for cell in range(3)
        for step in range(201)
        for side in (marks, ~marks)
    )
    assert float((probe.says(activations) == marks).mean()) == by_hand


def test_all_cells_together_know_what_none_knows_alone():
    rng = np.random.default_rng(0)
    activations = rng.uniform(-1, 1, (2_000, 2)).astype(np.float16)
    marks = activations.sum(axis=1) > 0

    alone = best_probe(activations, marks).says(activations)
    together = Together(activations, marks).says(activations)
    assert (alone == marks).mean() < 0.8 < 0.97 < (together == marks).mean()


def test_what_is_always_said_is_half_right_on_both_sides():
    marks = np.arange(10) < 2
    assert base_rate(marks) == 0.8
    assert Found.of(np.zeros(10, bool), marks) == Found(accuracy=0.8, balanced=0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A zoo with one bundle whose memory can be seen, and its data."""
    torch.set_num_threads(1)
    zoo, runs = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("runs")
    recipe = RECIPES["tiny-visible"]()
    dataset = recipe.data.load()
    progress = train(recipe, dataset, runs, Interrupt()).progress
    finished = Finished(recipe=recipe, dataset=dataset, progress=progress, machine="a test")
    publish(finished, zoo)
    return zoo, finished


def test_memories_are_those_of_the_model_that_reads_it_all(made):
    zoo, finished = made
    text = finished.dataset.train.ids[:3_000]
    got = memories(open_bundle(zoo / "tiny-visible" / "1"), text)

    model, wanted = finished.model(), []
    with torch.inference_mode():
        state = model.start(1)
        for token in torch.from_numpy(text[:1_000]):
            _, state = model(token.view(1, 1), state)
            wanted.append(state[1].tanh().flatten().numpy())
    assert got.shape == (3_000, 2 * 8)
    # Each part of the text was begun some way before it: how it began is forgotten.
    np.testing.assert_allclose(got[BEFORE:1_000], wanted[BEFORE:], atol=0.01)


def test_a_bundle_that_shows_nothing_is_refused(made):
    rnn = open_bundle(Path(__file__).parents[3] / "model_zoo/bundles/shakespeare-rnn/1")
    with pytest.raises(ValueError, match="shakespeare-rnn must show its memory"):
        memories(rnn, np.zeros(9, np.int64))


@dataclass(frozen=True, kw_only=True)
class Kings(LongText):
    """Text of the tiny recipe in which a letter stands for quotation marks."""

    def parts(self):
        text = "the king smiles at my lady.\na fool praises my lady.\n" * 30
        return Parts(text, text, text)


def test_the_command_writes_a_table_and_a_picture(made, tmp_path, monkeypatch, capsys):
    name, data = "tiny-visible", Kings(rows=1, length=1, seed=1)
    monkeypatch.setitem(find_cells.RECIPES, name, lambda: SimpleNamespace(data=data))
    rules = {"behind y": lambda text: in_quotes(text.replace("y", '"'))}
    monkeypatch.setitem(find_cells.RULES, name, rules)
    assert find_cells.main([name, "--zoo", str(made[0]), "--out", str(tmp_path)]) == 0

    with (tmp_path / f"cells_{name}.csv").open() as file:
        [heading, row] = csv.reader(file)
    assert (heading[0], row[0]) == ("mark", "behind y")
    assert all(0.4 <= float(value) <= 1 for value in row[2:])
    assert capsys.readouterr().out.splitlines()[1].split("\t") == row
    assert (tmp_path / f"cells_{name}.png").read_bytes().startswith(b"\x89PNG")


def test_lines_and_tabs_are_laid_out_as_they_are_read():
    panel = Panel("", "a\tb\nc", np.zeros(5, np.float32))
    places = [(row, column, character) for row, column, character, _ in laid_out(panel)]

    assert [p for p in places if p[2] != " "] == [(0, 0, "a"), (0, 4, "b"), (1, 0, "c")]
    assert drawn([panel, panel]).startswith(b"\x89PNG")
