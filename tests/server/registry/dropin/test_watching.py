"""What of a repository belongs to a file without a manifest, where folders are followed."""

import os

import pytest

from stepwire_server.registry.dropin.triton_config import policy_beside
from stepwire_server.registry.lifecycle import find_models
from stepwire_server.registry.policy import VersionPolicy
from stepwire_server.registry.watcher import stamp_of


@pytest.fixture
def repository(tmp_path):
    for name in ("folder/1/model.onnx", "folder/2/model.onnx", "bare.onnx", "other.onnx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
    return tmp_path


def stamps(repository):
    return {f"{p.name}/{p.version}": stamp_of(p) for p in find_models((repository,))}


def changed(repository, change):
    before = stamps(repository)
    change()
    after = stamps(repository)
    return {name for name in before if after.get(name) != before[name]}


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("bare.onnx", {"bare/1"}),
        ("bare.stepwire.json", {"bare/1"}),
        ("README.md", set()),
        ("folder/1/model.onnx", {"folder/1"}),
        ("folder/1/stepwire.json", {"folder/1"}),
        ("folder/stepwire.json", {"folder/1", "folder/2"}),
        ("folder/config.pbtxt", {"folder/1", "folder/2"}),
        ("folder/initial_state/ones", {"folder/1", "folder/2"}),
    ],
)
def test_a_change_is_of_those_models_that_read_the_file(repository, path, whose):
    target = repository / path
    target.parent.mkdir(exist_ok=True)
    assert changed(repository, lambda: target.write_bytes(b"22")) == whose


def test_a_link_that_is_swapped_is_a_change(repository, tmp_path):
    (repository / "v1").write_bytes(b"x")
    (repository / "v2").write_bytes(b"x")
    os.symlink(repository / "v1", repository / "linked.onnx")

    def swap():
        os.symlink(repository / "v2", repository / "draft")
        os.replace(repository / "draft", repository / "linked.onnx")

    assert changed(repository, swap) == {"linked/1"}


def test_config_pbtxt_says_which_versions_are_served(repository):
    config = repository / "folder/config.pbtxt"
    for text, versions in (
        ("", [1, 2]),
        ("version_policy { latest { num_versions: 1 } }", [2]),
        ("version_policy { specific { versions: [ 1 ] } }", [1]),
        ("this is not it", [1, 2]),
    ):
        config.write_text(text)
        places = [place for place in find_models((repository,)) if place.name == "folder"]
        policy = policy_beside(places[-1]) or VersionPolicy()
        assert [place.version for place in policy.choose(places)] == versions
