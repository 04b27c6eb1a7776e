"""The speeds of the zoo: that figures come out and are kept, not what they are."""

import asyncio
import json

import pytest

from benchmarks import zoo
from e2e.conftest import server_config
from stepwire_server.config import BatchingConfig
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.manifest import TASKS
from support.background import background
from support.tiny import write_classification, write_generation
from support.tiny_series import write_forecaster
from support.tiny_tagger import write_tagger
from support.tiny_translator import write_translation
from support.tiny_vectors import write_vectors

BUNDLES = {
    "generation": ("tiny", write_generation),
    "classification": ("judge", write_classification),
    "tagging": ("tagger", write_tagger),
    "translation": ("tiny-translator", write_translation),
    "forecasting": ("tides", write_forecaster),
    "embedding": ("vectors", write_vectors),
}
TEXTS = (["a", "b"], ["b"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    for _, write in BUNDLES.values():
        write(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder):
    with background(server_config(folder, batching=BatchingConfig())) as (app, _):
        yield f"127.0.0.1:{app.grpc_port}"


def test_every_task_has_a_load():
    assert set(TASKS) <= zoo.LOADS.keys()


@pytest.mark.parametrize("task", BUNDLES)
def test_a_load_counts_what_came_back(folder, address, task):
    manifest = open_bundle(folder / BUNDLES[task][0] / "1").manifest
    assert manifest.task == task
    asked = zoo.Asked(address=address, manifest=manifest, inputs=TEXTS, duration_s=0.1)
    assert asyncio.run(zoo.LOADS[task].per_s(asked)) > 0


def test_a_bundle_that_is_measured_again_takes_the_place_of_its_older_figure(
    folder, tmp_path, capsys
):
    out = tmp_path / "zoo.json"
    zoo.save(out, "tiny", {"value": -1.0})
    zoo.save(out, "another", {"value": -1.0})
    flags = ["--model-repository", str(folder), "--rounds", "1", "--seconds", "0.1"]
    zoo.main(["tiny", *flags, "--out", str(out)])
    kept = json.loads(out.read_text())["bundles"]
    assert list(kept) == ["another", "tiny"]
    assert kept["another"] == {"value": -1.0}
    assert (kept["tiny"]["unit"], kept["tiny"]["precision"]) == ("tokens", "float32")
    assert 0 < kept["tiny"]["lowest"] <= kept["tiny"]["value"] <= kept["tiny"]["highest"]
    assert capsys.readouterr().out.startswith("tiny\t")


def test_a_bundle_that_is_not_there_is_named(folder, capsys):
    with pytest.raises(SystemExit):
        zoo.main(["tiny", "nope", "--model-repository", str(folder)])
    assert f"{folder} has no bundle nope" in capsys.readouterr().err


def test_a_bundle_that_nobody_scores_is_asked_texts_of_its_language(folder):
    manifest = open_bundle(folder / "judge/1").manifest
    texts, source = zoo.inputs_of(manifest)
    assert len(texts) >= 1_000
    assert all(word for text in texts for word in text)
    assert source == "captions of photographs, English"
