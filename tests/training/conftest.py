"""Runs of the tiny recipes, made once and shared."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from stepwire_training.checkpoint import Training
from stepwire_training.data.batches import Dataset
from stepwire_training.export import Finished
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipe import Recipe
from stepwire_training.recipes import RECIPES
from stepwire_training.train import train


@dataclass(frozen=True)
class TinyRun:
    """A tiny recipe, trained to its end."""

    recipe: Recipe
    dataset: Dataset
    runs: Path
    training: Training

    def finished(self) -> Finished:
        return Finished(
            recipe=self.recipe,
            dataset=self.dataset,
            progress=self.training.progress,
            machine="a test",
        )


def run_tiny(name: str, runs: Path) -> TinyRun:
    recipe = RECIPES[name]()
    dataset = recipe.data.load()
    return TinyRun(recipe, dataset, runs, train(recipe, dataset, runs, Interrupt()))


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny", tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-classifier", tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="session")
def attentive(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-attentive", tmp_path_factory.mktemp("attentive"))


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-stream", tmp_path_factory.mktemp("stream"))


@pytest.fixture(scope="session")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-tagger", tmp_path_factory.mktemp("tagger"))


@pytest.fixture(scope="session")
def joint(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-joint", tmp_path_factory.mktemp("joint"))


@pytest.fixture(scope="session")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-vectors", tmp_path_factory.mktemp("vectors"))


@pytest.fixture(scope="session")
def translator(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-translator", tmp_path_factory.mktemp("translator"))


@pytest.fixture(scope="session")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-answerer", tmp_path_factory.mktemp("answerer"))


@pytest.fixture(scope="session")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-forecaster", tmp_path_factory.mktemp("forecaster"))


@pytest.fixture(scope="session")
def anomaly(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    return run_tiny("tiny-anomaly", tmp_path_factory.mktemp("anomaly"))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
