"""Graphs in 8 bits join a bundle if they are as good, and are proved like the others."""

import shutil
from dataclasses import replace

import pytest

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.registry.opening import Opener
from stepwire_training.export import publish
from stepwire_training.finished import Finished
from stepwire_training.int8 import publish as int8
from stepwire_training.int8.publish import add_int8, lost
from stepwire_training.interrupt import Interrupt
from stepwire_training.recipes import tiny
from stepwire_training.train import train
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.manifest import INT8, Metric


def finished(recipe, folder):
    dataset = recipe.data.load()
    progress = train(recipe, dataset, folder / "runs", Interrupt()).progress
    return Finished(recipe=recipe, dataset=dataset, progress=progress, machine="a test")


@pytest.fixture(scope="module", params=["generator", "stream", "translator"])
def trained(request, tmp_path_factory):
    """A bundle of a kind, with products that are worth it; its recipe and data."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = getattr(tiny, request.param)()
    recipe = replace(recipe, model=replace(recipe.model, hidden=64), steps=40, evaluate_every=20)
    run = finished(recipe, folder)
    return publish(run, folder / "zoo"), recipe, run.dataset


@pytest.fixture
def made(trained, tmp_path):
    """The same for each test alone: what is published is written over."""
    bundle, recipe, dataset = trained
    folder = tmp_path / bundle.manifest.name / bundle.manifest.version
    shutil.copytree(bundle.folder, folder)
    return open_bundle(folder), recipe, dataset


@pytest.fixture
def lenient(monkeypatch):
    """A toy of forty steps may lose more than what is published."""
    monkeypatch.setattr(int8, "MOST_LOST", 0.5)


def test_a_bundle_gets_graphs_that_a_server_proves(made, lenient):
    outcome = add_int8(*made)
    bundle = open_bundle(outcome.bundle.folder)
    variant = bundle.manifest.variants[INT8]

    assert outcome.reason == ""
    assert variant.files == {"step": "step.int8.onnx"}
    assert [m.name for m in variant.metrics] == [m.name for m in bundle.manifest.metrics]
    assert bundle.manifest.files["step.int8.onnx"].size_bytes < (
        bundle.manifest.files["step.onnx"].size_bytes
    )
    opener = Opener(batching=BatchingConfig(max_rows=8, max_batch=4), runtime=RuntimeConfig())
    assert replace(opener, precision=INT8).open(bundle).stands_alone


def test_what_was_published_before_stays_as_it_was(made, lenient):
    before, recipe, dataset = made
    graphs = {g.file: before.read(g.file) for g in before.manifest.graphs.values()}
    after = add_int8(before, recipe, dataset).bundle

    assert {name: after.read(name) for name in graphs} == graphs
    assert after.manifest.metrics == before.manifest.metrics
    assert after.manifest.golden == before.manifest.golden


def test_the_card_sets_both_side_by_side_once(made, lenient):
    once = add_int8(*made).bundle
    text = once.read("CARD.md").decode()
    again = add_int8(once, *made[1:]).bundle

    assert text.count("## In 8 bits") == 1
    assert "| float32 | int8 |" in text
    assert again.read("CARD.md").decode() == text
    assert again.digest == once.digest


def test_what_loses_too_much_is_not_published(made, monkeypatch):
    before, recipe, dataset = made
    monkeypatch.setattr(int8, "MOST_LOST", -1.0)
    outcome = add_int8(before, recipe, dataset)

    assert outcome.bundle is before
    assert outcome.reason.startswith("a figure is worse by")


def test_a_recipe_may_want_none(made):
    before, recipe, dataset = made
    none = replace(recipe, publication=replace(recipe.publication, eight_bits=False))

    assert add_int8(before, none, dataset) == (before, "its recipe wants none")


def test_a_classifier_of_whole_texts_has_none(classifier, tmp_path):
    run = classifier.finished()
    outcome = add_int8(publish(run, tmp_path), run.recipe, run.dataset)

    assert outcome.reason == "it has no step graph that reads tokens"
    assert outcome.bundle.manifest.variants == {}


@pytest.mark.parametrize(
    ("name", "before", "after", "share"),
    [("loss", 2.0, 2.1, 0.05), ("accuracy", 0.8, 0.84, -0.05), ("BLEU", 40.0, 38.0, 0.05)],
)
def test_a_loss_is_worse_when_it_is_higher_and_all_else_when_it_is_lower(
    name, before, after, share
):
    one, other = (Metric(name=name, value=v, unit="", split="") for v in (before, after))
    assert lost(one, other) == pytest.approx(share)
