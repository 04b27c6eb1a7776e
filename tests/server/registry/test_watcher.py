"""What counts as come, changed and gone. Looks follow one another; no time passes."""

import os

import pytest

from stepwire_server.registry.watcher import Watcher
from stepwire_zoo.index import find_bundles


class Looker:
    """A repository and who watches it."""

    def __init__(self, repository):
        self.repository = repository
        self._watcher = Watcher(find_bundles(repository))

    def look(self):
        """What came and went, by name and version."""
        changes = self._watcher.look(find_bundles(self.repository))
        return tuple([(place.name, place.version) for place in part] for part in changes)

    def settled(self, name):
        return [place.version for place in self._watcher.settled(name)]


def put(repository, path, content=b"x"):
    file = repository / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.fixture
def looker(tmp_path):
    put(tmp_path, "model/1/manifest.json")
    put(tmp_path, "model/1/step.onnx")
    return Looker(tmp_path)


NOTHING = ([], [])


def test_what_was_there_at_the_start_is_no_news(looker):
    assert [looker.look() for _ in range(3)] == [NOTHING] * 3


def test_a_version_counts_once_two_looks_saw_the_same(looker, tmp_path):
    put(tmp_path, "model/2/manifest.json")
    assert looker.look() == NOTHING
    assert looker.settled("model") == [1]
    put(tmp_path, "model/2/step.onnx")
    assert looker.look() == NOTHING
    assert looker.look() == ([("model", 2)], [])
    assert looker.settled("model") == [1, 2]
    assert looker.look() == NOTHING


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(b"longer"),
        lambda file: os.utime(file, ns=(0, 0)),
        lambda file: os.replace(put(file.parent.parent, "other"), file),
        lambda file: file.unlink(),
        lambda file: put(file.parent, "below/more"),
    ],
    ids=["size", "time", "inode", "removal", "addition"],
)
def test_every_change_of_a_file_is_seen(looker, tmp_path, change):
    file = tmp_path / "model/1/step.onnx"
    # The same time, size and place: only the inode can tell.
    before = file.stat().st_mtime_ns
    change(file)
    if file.exists() and file.stat().st_size == 1 and file.stat().st_mtime_ns:
        os.utime(file, ns=(before, before))
    assert looker.look() == NOTHING
    assert looker.look() == ([("model", 1)], [])


def test_a_file_that_keeps_changing_keeps_waiting(looker, tmp_path):
    file = tmp_path / "model/1/step.onnx"
    for size in range(2, 10):
        file.write_bytes(b"x" * size)
        assert looker.look() == NOTHING
    assert looker.look() == ([("model", 1)], [])


def test_what_is_gone_for_one_look_only_is_not_gone(looker, tmp_path):
    folder = tmp_path / "model/1"
    folder.rename(tmp_path / "model/away")
    assert looker.look() == NOTHING
    (tmp_path / "model/away").rename(folder)
    assert [looker.look() for _ in range(3)] == [NOTHING] * 3


def test_what_is_gone_is_gone_once(looker, tmp_path):
    (tmp_path / "model/1").rename(tmp_path / "model/away")
    assert looker.look() == NOTHING
    assert looker.look() == ([], [("model", 1)])
    assert looker.settled("model") == []
    assert looker.look() == NOTHING


def test_a_bare_file_comes_and_goes_too(tmp_path):
    looker = Looker(tmp_path)
    file = put(tmp_path, "bare.onnx")
    assert [looker.look(), looker.look()] == [NOTHING, ([("bare", 1)], [])]
    put(tmp_path, "another.onnx")  # in the same folder, and no part of it
    assert [looker.look(), looker.look()] == [NOTHING, ([("another", 1)], [])]
    file.unlink()
    assert [looker.look(), looker.look()] == [NOTHING, ([], [("bare", 1)])]


def test_a_manifest_that_joins_a_graph_makes_one_version_of_them(tmp_path):
    put(tmp_path, "model/1/model.onnx")
    looker = Looker(tmp_path)
    put(tmp_path, "model/1/manifest.json")
    looker.look()
    assert looker.look() == ([("model", 1)], [("model", 1)])
    assert looker.settled("model") == [1]


def test_a_version_that_cannot_be_read_is_not_gone(looker, tmp_path):
    folder = tmp_path / "model/1"
    folder.rename(tmp_path / "model/away")
    folder.symlink_to("1")  # leads to itself
    assert [looker.look() for _ in range(3)] == [NOTHING] * 3
