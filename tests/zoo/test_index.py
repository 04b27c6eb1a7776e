import pytest

from stepwire_zoo.index import find_bundles


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_bundles_and_files_without_a_manifest_are_found(tmp_path):
    put(tmp_path / "bundle/1/manifest.json")
    put(tmp_path / "folder/2/model.onnx")
    put(tmp_path / "folder/10/model.onnx")
    put(tmp_path / "folder/config.pbtxt")
    put(tmp_path / "bare.onnx")
    put(tmp_path / "bare.stepwire.json")
    found = [(p.name, p.version, p.graph) for p in find_bundles(tmp_path)]
    assert found == [
        ("bare", 1, tmp_path / "bare.onnx"),
        ("bundle", 1, None),
        ("folder", 2, tmp_path / "folder/2/model.onnx"),
        ("folder", 10, tmp_path / "folder/10/model.onnx"),
    ]


def test_a_manifest_has_the_word_where_there_is_one(tmp_path):
    put(tmp_path / "bundle/1/manifest.json")
    put(tmp_path / "bundle/1/model.onnx")
    assert [place.graph for place in find_bundles(tmp_path)] == [None]


@pytest.mark.parametrize("name", [".hidden.onnx", "_draft.onnx", "no name.onnx", "x.onnx.draft"])
def test_names_that_no_request_could_use_are_passed_over(tmp_path, name):
    put(tmp_path / name)
    assert find_bundles(tmp_path) == []
