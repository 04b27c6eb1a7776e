"""Runs that differ by chance alone."""

from dataclasses import replace

import numpy as np
import pytest

from stepwire_training.__main__ import main
from stepwire_training.data.batches import LabelledTexts, Shard
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.interrupt import EXIT_CODE, Interrupt
from stepwire_training.recipes import tiny
from stepwire_training.seeds import Later, run_again
from stepwire_training.train import train

STEPS = 6


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Finished:
    recipe = replace(tiny.classifier(), steps=STEPS, evaluate_every=3)
    dataset = recipe.data.load()
    run = train(recipe, dataset, tmp_path_factory.mktemp("runs"), Interrupt())
    return Finished(recipe=recipe, dataset=dataset, progress=run.progress, machine="a test")


def test_runs_of_several_seeds_tell_their_spread_beside_the_first(alone, tmp_path):
    one = publish(alone, tmp_path / "one")
    finished = run_again(alone, 3, tmp_path, Interrupt())
    three = publish(finished, tmp_path / "three")

    assert three.read("sequence.onnx") == one.read("sequence.onnx")
    for metric, single in zip(three.manifest.metrics, one.manifest.metrics, strict=True):
        assert (metric.value, single.runs) == (single.value, ())
        assert len(metric.runs) == 3
        assert metric.runs[0] == metric.value
        assert f"{min(metric.runs):.4f} to {max(metric.runs):.4f} in 3 runs" in (
            three.read("CARD.md").decode()
        )
    loss = three.manifest.metrics[1]
    assert len(set(loss.runs)) == 3  # nats differ with the weights, hits may not
    assert three.manifest.provenance.command == "make train RECIPE=tiny-classifier SEEDS=3"
    assert one.manifest.provenance.command == "make train RECIPE=tiny-classifier"


def test_another_seed_reads_the_same_texts_in_another_order():
    texts = [np.array([number]) for number in range(20)]
    batches = LabelledTexts(texts, np.zeros(20, np.int64), rows=4, seed=1)
    read = [
        [int(token) for step in range(5) for token in each.batch(step, Shard()).inputs[0]]
        for each in (batches, Later(batches, 1_000))
    ]

    assert read[0] != read[1]
    assert sorted(read[0]) == sorted(read[1]) == list(range(20))


def test_an_interrupted_seed_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    places = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "zoo")]
    command = ["tiny-classifier", "--steps", str(STEPS), "--seeds", "2", *places]
    asked = []

    def in_the_second_run(self, step):
        asked.append(step)
        return len(asked) == STEPS + 2

    with monkeypatch.context() as patch:
        patch.setattr(Interrupt, "asked", in_the_second_run)
        assert main(command) == EXIT_CODE
    assert not (tmp_path / "zoo").exists()
    asked.clear()
    assert main(command) == 0

    assert "accuracy by seeds" in capsys.readouterr().out
    kept = (tmp_path / "runs/seed-2/tiny-classifier/log.csv").read_text()
    assert kept.splitlines()[-1].startswith(f"{STEPS},")


@pytest.mark.parametrize(("seeds", "world"), [("0", "1"), ("3", "2")])
def test_a_number_of_seeds_that_cannot_be_run_is_refused(seeds, world, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(SystemExit):
        main(["tiny", "--seeds", seeds])
    assert f"--seeds must be at least 1, and 1 under torchrun, got {seeds}" in (
        capsys.readouterr().err
    )
