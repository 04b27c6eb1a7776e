import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from stepwire_server.config import BatchingConfig, RuntimeConfig
from stepwire_server.metrics import Metrics
from stepwire_server.registry.loader import Loader
from stepwire_zoo.bundle import open_bundle, write_bundle
from stepwire_zoo.errors import FileMismatch, GoldenMismatch, ManifestInvalid
from stepwire_zoo.golden import GoldenCase, pack, unpack
from support.tiny import (
    BUCKETS,
    TinyCell,
    edit_manifest,
    write_classification,
    write_generation,
)


@pytest.fixture
def loader():
    return Loader(
        batching=BatchingConfig(max_rows=4, max_batch=4),
        runtime=RuntimeConfig(),
        metrics=Metrics(CollectorRegistry()),
        post=lambda function: function(),
    )


def republish(folder, **files):
    """Publishes a bundle again with other files, digests and all, as a bad tool would."""
    bundle = open_bundle(folder)
    old = {name: bundle.read(name) for name in bundle.manifest.files}
    write_bundle(folder, bundle.manifest, old | {n.replace("_", "."): f for n, f in files.items()})


def golden_of(folder):
    bundle = open_bundle(folder)
    return unpack(bundle.read("golden.npz"))


def test_a_good_bundle_is_proved(loader, tmp_path):
    loader.prove(open_bundle(write_generation(tmp_path)))
    loader.prove(open_bundle(write_classification(tmp_path)))


def test_a_model_runs_on_the_provider_that_its_manifest_names(loader, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(providers=["cpu"]))
    loaded = loader.load(open_bundle(folder))
    loaded.stop()
    assert loaded.provider == "CPUExecutionProvider"


def test_a_model_for_a_provider_that_is_not_there_is_refused(loader, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(providers=["cuda"]))
    with pytest.raises(ManifestInvalid, match="providers: provider 'cuda' is not there"):
        loader.prove(open_bundle(folder))


def test_a_provider_that_nobody_knows_is_refused(loader, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(providers=["abacus"]))
    with pytest.raises(ManifestInvalid, match="providers: must be among cpu, cuda, got 'abacus'"):
        loader.prove(open_bundle(folder))


def test_a_task_without_its_graph_is_refused(loader, tmp_path):
    folder = write_generation(tmp_path)
    edit_manifest(folder, lambda m: m.update(graphs={"sequence": m["graphs"]["step"]}))
    with pytest.raises(ManifestInvalid, match="task generation needs a step graph"):
        loader.prove(open_bundle(folder))


def test_buckets_that_do_not_reach_the_limit_are_refused(loader, tmp_path):
    folder = write_classification(tmp_path)
    edit_manifest(folder, lambda m: m["limits"].update(max_input_tokens=BUCKETS[-1] + 1))
    with pytest.raises(ManifestInvalid, match=r"buckets: must reach limits\.max_input"):
        loader.prove(open_bundle(folder))


def test_numbers_that_are_off_at_one_step_are_found(loader, tmp_path):
    folder = write_generation(tmp_path)
    case = golden_of(folder)["step"]
    case.outputs["logits"][1, 3, 5] += 0.01
    republish(folder, golden_npz=pack({"step": case}))
    with pytest.raises(GoldenMismatch, match=r"golden logits, 2 rows, step 3, \[1, 5\] is"):
        loader.prove(open_bundle(folder))


def test_numbers_that_are_off_for_one_text_are_found(loader, tmp_path):
    folder = write_classification(tmp_path)
    case = golden_of(folder)["sequence"]
    case.outputs["logits"][2] += 0.01
    republish(folder, golden_npz=pack({"sequence": case}))
    with pytest.raises(GoldenMismatch, match="golden logits, 4 rows of 16, "):
        loader.prove(open_bundle(folder))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (GoldenCase(), "the golden case has no tensor 'token'"),
        (GoldenCase({"token": np.array([[1]])}), "the golden case has no tensor 'logits'"),
    ],
)
def test_a_golden_case_that_proves_nothing_is_refused(loader, tmp_path, case, message):
    folder = write_generation(tmp_path)
    republish(folder, golden_npz=pack({"step": case, "other": GoldenCase({"x": np.zeros(1)})}))
    with pytest.raises(FileMismatch, match=message):
        loader.prove(open_bundle(folder))


def test_a_graph_of_another_model_is_found_by_the_golden_case(loader, tmp_path):
    folder = write_generation(tmp_path)
    republish(folder, step_onnx=TinyCell(seed=9).graph())
    with pytest.raises(GoldenMismatch):
        loader.prove(open_bundle(folder))
