"""In which precision a bundle is served, and what is said of it."""

from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.engine import saturation
from stepwire_server.engine.saturation import multiplies_exactly
from stepwire_server.metrics import Metrics
from stepwire_server.registry import precision
from stepwire_server.registry.loader import Loader
from stepwire_server.registry.precision import choose
from stepwire_zoo.bundle import open_bundle, write_bundle
from stepwire_zoo.errors import GoldenMismatch
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import FLOAT32, INT8, Golden, Metric, Variant
from support.tiny import VOCABULARY, TinyCell, edit_manifest, write_generation

GOLDEN = Golden(file="golden.int8.npz")
BETTER = (Metric(name="loss", value=0.9, unit="nats/character", split="none"),)


def write_both(repository, *, fast=None, published=None):
    """A generator in two precisions; the second is another cell, so that one can tell."""
    fast = fast or TinyCell(seed=5)
    folder = write_generation(repository)
    bundle = open_bundle(folder)
    tokens = np.random.default_rng(1).integers(0, VOCABULARY, size=(2, 5))
    case = GoldenCase({"token": tokens}, {"logits": (published or fast).run(tokens)})
    variant = Variant(files={"step": "step.int8.onnx"}, golden=GOLDEN, metrics=BETTER)
    manifest = replace(bundle.manifest, variants={INT8: variant}, files={})
    added = {"step.int8.onnx": fast.graph(), GOLDEN.file: pack({"step": case})}
    write_bundle(folder, manifest, bundle.read_all() | added)
    return folder


@pytest.fixture
def load(tmp_path):
    """Loads a bundle under some settings; what was loaded is stopped again."""
    running = []

    def loaded(folder, **settings):
        loader = Loader(
            batching=BatchingConfig(max_rows=4),
            runtime=RuntimeConfig(**settings),
            metrics=Metrics(CollectorRegistry()),
            post=lambda function, *given: function(*given),
        )
        running.append(loader.load(open_bundle(folder)))
        return running[-1]

    yield loaded
    for model in running:
        model.stop()


def numerics(loaded):
    return loaded.origin.numerics


def test_what_is_published_in_8_bits_is_served_so_on_a_cpu(load, tmp_path):
    loaded = load(write_both(tmp_path))

    assert loaded.precision == (INT8, "")


def test_a_flag_takes_the_other_and_states_of_one_are_not_those_of_the_other(load, tmp_path):
    folder = write_both(tmp_path)
    fast, exact = load(folder), load(folder, precision=FLOAT32)

    assert exact.precision == (FLOAT32, "")
    assert numerics(fast) != numerics(exact)


def test_a_manifest_may_prefer_what_it_was_trained_in(load, tmp_path):
    folder = write_both(tmp_path)
    edit_manifest(folder, lambda manifest: manifest.update(precision=FLOAT32))

    assert load(folder).precision == (FLOAT32, "")
    assert load(folder, precision=INT8).precision == (INT8, "")


def test_a_bundle_without_it_is_served_as_it_is_and_says_so_if_it_was_asked_for(load, tmp_path):
    folder = write_generation(tmp_path)

    assert load(folder).precision == (FLOAT32, "")
    assert load(folder, precision=INT8).precision == (FLOAT32, "it was not published in int8")


def test_a_machine_that_saturates_serves_float32_and_says_so(load, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "multiplies_exactly", lambda runtime: False)
    loaded = load(write_both(tmp_path), precision=INT8)

    assert loaded.precision.name == FLOAT32
    assert "saturate" in loaded.precision.reason


def test_another_provider_serves_float32_and_says_so(tmp_path):
    spec = open_bundle(write_both(tmp_path)).manifest
    chosen = choose(spec, RuntimeConfig(provider="cuda"))

    assert chosen == (FLOAT32, "int8 is for the CPU")


def test_numbers_that_were_not_published_are_never_served(load, tmp_path):
    folder = write_both(tmp_path, published=TinyCell(seed=9))

    with pytest.raises(GoldenMismatch):
        load(folder, precision=INT8)
    loaded = load(folder)
    assert loaded.precision.name == FLOAT32
    assert loaded.precision.reason.startswith("int8 is not what was published: golden logits")


def test_if_neither_is_what_was_published_the_bundle_is_refused(load, tmp_path):
    folder = write_both(tmp_path, published=TinyCell(seed=9))
    bundle = open_bundle(folder)
    wrong = {**bundle.read_all(), "golden.npz": bundle.read("golden.int8.npz")}
    write_bundle(folder, bundle.manifest, wrong)

    with pytest.raises(GoldenMismatch):
        load(folder)


def test_this_machine_multiplies_the_most_extreme_operands_exactly():
    assert multiplies_exactly(RuntimeConfig())


def test_the_probe_notices_a_product_that_is_cut_off(monkeypatch):
    exactly = saturation.OnnxGraph

    class Saturating:
        """Adds pairs in 16 bits, as CPUs do that lack the instruction."""

        def __init__(self, data, file, runtime):
            self.graph = exactly(data, file, runtime)

        def run(self, outputs, feeds):
            [exact] = self.graph.run(outputs, feeds)
            return [np.minimum(exact, np.iinfo(np.int16).max)]

    monkeypatch.setattr(saturation, "OnnxGraph", Saturating)
    multiplies_exactly.cache_clear()
    try:
        assert not multiplies_exactly(RuntimeConfig())
    finally:
        multiplies_exactly.cache_clear()
