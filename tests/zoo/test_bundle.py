import json
import os
from dataclasses import replace

import pytest

from stepwire_zoo.bundle import open_bundle, write_bundle
from stepwire_zoo.errors import FileMismatch, FormatUnknown, ManifestInvalid
from stepwire_zoo.index import find_bundles
from stepwire_zoo.manifest import Limits, Tensor
from support.tiny import edit_manifest, generation_manifest, write_generation


@pytest.fixture
def folder(tmp_path):
    return write_generation(tmp_path)


def test_what_was_written_is_read_back(folder):
    bundle = open_bundle(folder)
    assert bundle.read_all().keys() == bundle.manifest.files.keys()
    assert bundle.manifest.name == "tiny"
    assert bundle.read("step.onnx") == (folder / "step.onnx").read_bytes()
    assert bundle.manifest.size_bytes == sum(
        (folder / name).stat().st_size for name in bundle.manifest.files
    )


def test_a_classifier_may_have_a_step_graph_and_no_other(tmp_path):
    generator = generation_manifest("stream")
    [step] = generator.graphs.values()
    verdict = Tensor(name="logits", dtype="float32", shape=(2,), role="logits")
    manifest = replace(
        generator,
        task="classification",
        labels=("negative", "positive"),
        graphs={"step": replace(step, outputs=(verdict,))},
        limits=Limits(max_input_tokens=64),
    )
    files = dict.fromkeys(("step.onnx", "tokenizer.json", "golden.npz"), b"")
    read = write_bundle(tmp_path, manifest, files).manifest

    assert (read.task, read.labels) == ("classification", ("negative", "positive"))
    assert read.graphs == manifest.graphs


def test_a_file_cut_short_is_refused(folder):
    (folder / "step.onnx").write_bytes((folder / "step.onnx").read_bytes()[:-1])
    with pytest.raises(FileMismatch, match=r"step\.onnx has \d+ bytes, not \d+"):
        open_bundle(folder).read_all()


def test_a_changed_file_is_refused(folder):
    data = bytearray((folder / "step.onnx").read_bytes())
    data[-1] ^= 1
    (folder / "step.onnx").write_bytes(data)
    with pytest.raises(FileMismatch, match=r"step\.onnx is not the file that was published"):
        open_bundle(folder).read_all()


def test_a_missing_file_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileMismatch, match=r"tokenizer\.json cannot be read"):
        open_bundle(folder).read_all()


def test_a_link_is_refused_even_to_the_very_same_bytes(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (folder / "step.onnx").rename(elsewhere)
    (folder / "step.onnx").symlink_to(elsewhere)
    with pytest.raises(FileMismatch, match=r"step\.onnx cannot be read"):
        open_bundle(folder).read_all()


def test_a_pipe_is_refused_at_once(folder):
    (folder / "step.onnx").unlink()
    os.mkfifo(folder / "step.onnx")
    with pytest.raises(FileMismatch, match=r"step\.onnx is not a plain file"):
        open_bundle(folder).read_all()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "", ".hidden", "x\x00"])
def test_a_manifest_cannot_name_a_file_outside_its_folder(folder, name):
    def point_outside(manifest):
        manifest["files"][name] = {"sha256": "0" * 64, "size_bytes": 1}

    edit_manifest(folder, point_outside)
    with pytest.raises(ManifestInvalid, match="is not the plain name of a file"):
        open_bundle(folder)


@pytest.mark.parametrize("written", [0, 2, "1", None])
def test_another_format_is_refused_by_name(folder, written):
    edit_manifest(folder, lambda manifest: manifest.update(format=written))
    with pytest.raises(FormatUnknown, match="this version reads 1"):
        open_bundle(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"format": 1}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(folder, text):
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises((ManifestInvalid, FormatUnknown)):
        open_bundle(folder)


def test_a_huge_manifest_is_not_read(folder):
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "name": "x" * (2 << 20)}))
    with pytest.raises(ManifestInvalid, match="larger than"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(task="guessing"), "task must be one of generation, classification"),
        (lambda m: m.update(version="01"), "version must be a whole number from 1"),
        (lambda m: m.update(name="../x"), "name must be lower-case"),
        (lambda m: m.update(surprise=1), "surprise: not a field of this format"),
        (lambda m: m.pop("licence"), "licence: is missing"),
        (lambda m: m.update(labels="positive"), "labels: must be a list, got 'positive'"),
        (
            lambda m: m["graphs"]["step"]["states"][0].update(shape=["8"]),
            r"graphs\.step\.states\[0\]\.shape\[0\]: must be of type int, got '8'",
        ),
        (
            lambda m: m["graphs"]["step"]["states"][0].update(shape=[-1]),
            r"graphs\.step\.states\[0\]: shape must hold sizes from 1",
        ),
        (
            lambda m: m["golden"].update(absolute_tolerance=1e6),
            r"golden: tolerances must be in \[0, 0.01\]",
        ),
        (
            lambda m: m["decoding"].update(temperature=float("nan")),
            r"decoding\.temperature: must be finite, got 'nan'",
        ),
        (lambda m: m["tokenizer"].update(end=99), r"tokenizer: token 99 is not in \[0, 29\)"),
        (lambda m: m["files"].pop("step.onnx"), "'step.onnx' is used but not listed"),
        (lambda m: m.update(files={}), "files: lists nothing"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(folder, edit, message):
    edit_manifest(folder, edit)
    with pytest.raises(ManifestInvalid, match=message):
        open_bundle(folder)


def test_only_folders_named_by_a_number_are_versions(folder):
    repository = folder.parent.parent
    (folder.parent / "draft").mkdir()
    (folder.parent / "01").mkdir()
    (repository / ".git").mkdir()
    (repository / "README.md").write_text("hello")
    assert [(place.name, place.version) for place in find_bundles(repository)] == [("tiny", 1)]


def test_a_version_that_lost_its_manifest_is_refused_and_not_forgotten(folder):
    (folder / "manifest.json").unlink()
    [place] = find_bundles(folder.parent.parent)
    with pytest.raises(FileMismatch, match=r"manifest\.json cannot be read"):
        open_bundle(place.folder)


def test_a_state_of_absurd_size_is_refused(folder):
    edit_manifest(folder, lambda m: m["graphs"]["step"]["states"][0].update(shape=[10**9]))
    with pytest.raises(ManifestInvalid, match="4194304 elements in all"):
        open_bundle(folder)


def test_versions_are_ordered_as_numbers(tmp_path):
    for version in ("10", "9"):
        folder = tmp_path / "tiny" / version
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    assert [place.version for place in find_bundles(tmp_path)] == [9, 10]
