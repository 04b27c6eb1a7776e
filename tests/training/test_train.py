"""A run that was stopped ends with the same bits as one that was not."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepwire_training.data.tokens import characters
from stepwire_training.interrupt import EXIT_CODE, Interrupt
from stepwire_training.recipes import RECIPES, tiny
from stepwire_training.train import Stopped, train

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT / 'training'}:{ROOT / 'model_zoo'}",
    "OMP_NUM_THREADS": "1",
}
FIXTURES = {
    "tiny": "generator",
    "tiny-classifier": "classifier",
    "tiny-stream": "stream",
    "tiny-translator": "translator",
    "tiny-forecaster": "forecaster",
    "tiny-anomaly": "anomaly",
    "tiny-vectors": "vectors",
}
TIMES = ("seconds",)  # what a clock says is no part of a result


@pytest.mark.parametrize("name", FIXTURES)
def test_a_run_stopped_twice_equals_one_that_was_not(name, request, tmp_path):
    whole = request.getfixturevalue(FIXTURES[name])
    # Once in the middle of a pass, once right after an evaluation.
    for step in (37, 60):
        with pytest.raises(Stopped):
            train(whole.recipe, whole.dataset, tmp_path, Interrupt(at_step=step))
    train(whole.recipe, RECIPES[name]().data.load(), tmp_path, Interrupt())

    assert contents(tmp_path / name) == contents(whole.runs / name)


def test_bfloat16_resumes_exactly_too(tmp_path):
    recipe = replace(tiny.generator(), steps=20, evaluate_every=10, bf16=True)
    dataset = recipe.data.load()
    train(recipe, dataset, tmp_path / "whole", Interrupt())
    with pytest.raises(Stopped):
        train(recipe, dataset, tmp_path / "stopped", Interrupt(at_step=7))
    train(recipe, dataset, tmp_path / "stopped", Interrupt())

    assert contents(tmp_path / "stopped/tiny") == contents(tmp_path / "whole/tiny")


def test_the_tiny_models_learn(generator, classifier, stream, translator):
    assert translator.training.progress.best_bleu > 95
    assert generator.training.progress.best_loss < 1.2
    assert classifier.training.progress.history[-1]["dev_accuracy"] > 0.95
    assert stream.training.progress.history[-1]["dev_accuracy"] > 0.95


def test_a_tiny_forecaster_learns_its_series(forecaster, anomaly):
    assert forecaster.training.progress.history[-1]["dev_error"] < 0.05
    for run in (forecaster, anomaly):
        first, *_, last = run.training.progress.history
        assert last["train_loss"] < first["train_loss"]


def test_the_log_of_a_forecaster_has_errors_instead_of_hits(forecaster):
    with (forecaster.runs / "tiny-forecaster/log.csv").open(newline="") as file:
        [first, *_] = csv.DictReader(file)

    assert list(first)[-2:] == ["dev_loss", "dev_error"]


def test_the_best_averaged_weights_are_kept(generator):
    progress = generator.training.progress
    losses = {row["step"]: row["dev_loss"] for row in progress.history}

    assert progress.best_loss == min(losses.values()) == losses[progress.best_step]
    assert progress.best.keys() == generator.training.model.state_dict().keys()


def test_a_translator_is_chosen_by_bleu(translator):
    progress = translator.training.progress
    scores = {row["step"]: row["dev_bleu"] for row in progress.history}

    assert progress.best_bleu == max(scores.values()) == scores[progress.best_step]
    with (translator.runs / "tiny-translator/log.csv").open(newline="") as file:
        assert [float(row["dev_bleu"]) for row in csv.DictReader(file)] == list(scores.values())


def test_a_forecaster_is_chosen_by_its_error(forecaster):
    progress = forecaster.training.progress
    errors = {row["step"]: row["dev_error"] for row in progress.history}

    assert progress.best_error == min(errors.values()) == errors[progress.best_step]


def test_a_run_leaves_a_log_and_a_curve(generator):
    folder = generator.runs / "tiny"
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert [int(row["step"]) for row in rows] == [25, 50, 75, 100, 125, 150]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert (folder / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_another_recipe_does_not_go_on_from_a_checkpoint(tmp_path):
    recipe = replace(tiny.generator(), steps=2)
    train(recipe, recipe.data.load(), tmp_path, Interrupt())

    with pytest.raises(ValueError, match="written by another recipe or tokenizer; move it away"):
        train(replace(recipe, steps=3), recipe.data.load(), tmp_path, Interrupt())


def test_other_tokens_do_not_go_on_from_a_checkpoint(tmp_path):
    recipe = replace(tiny.generator(), steps=2)
    dataset = recipe.data.load()
    train(recipe, dataset, tmp_path, Interrupt())
    other = replace(dataset, tokenizer=characters("Some other letters."))

    with pytest.raises(ValueError, match="another recipe or tokenizer"):
        train(recipe, other, tmp_path, Interrupt())


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    recipe = replace(tiny.generator(), steps=5, learning_rate=float("nan"))

    with pytest.raises(RuntimeError, match="non-finite"):
        train(recipe, recipe.data.load(), tmp_path, Interrupt())


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_go_on(tmp_path):
    process = start(tmp_path, "tiny", "--steps", "5000")
    wait_for(tmp_path / "runs/tiny/log.csv")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == EXIT_CODE == 130
    assert f"The same command goes on from {tmp_path / 'runs'}" in errors
    content = torch.load(tmp_path / "runs/tiny/checkpoint.pt", weights_only=True)
    assert content["progress"]["step"] >= 25
    assert not (tmp_path / "zoo").exists()


def test_two_processes_stopped_and_resumed_equal_two_that_were_not(tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = Path(__file__).with_name("two_processes.py")
    # Each sitting is a command of its own, as a user would type it again.
    for folder, stop_at in (("whole", "0"), ("stopped", "13"), ("stopped", "0")):
        command = [*launcher, script, tmp_path / folder, stop_at]
        subprocess.run(command, env=ENVIRONMENT, check=True, timeout=120)

    assert contents(tmp_path / "stopped/tiny") == contents(tmp_path / "whole/tiny")


def contents(folder: Path) -> str:
    """A checkpoint as text, bit for bit, without what a clock said."""
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    return repr(plain(content))


def plain(value):
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    places = ["--runs", str(folder / "runs"), "--out", str(folder / "zoo")]
    return subprocess.Popen(
        [sys.executable, "-m", "stepwire_training", *arguments, *places],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.05)
