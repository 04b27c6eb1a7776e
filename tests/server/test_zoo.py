import json

import pytest

from stepwire_server import zoo
from support.tiny import write_classification, write_generation


@pytest.fixture
def repository(tmp_path):
    write_generation(tmp_path)
    write_classification(tmp_path)
    return tmp_path


def run(capsys, repository, *arguments):
    code = zoo.main(["--model-repository", str(repository), *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_has_a_line_for_each_bundle(capsys, repository):
    code, out, _ = run(capsys, repository, "list")
    assert code == 0
    assert [line.split("\t")[:2] for line in out.splitlines()] == [
        ["judge/1", "classification"],
        ["tiny/1", "generation"],
    ]


def test_show_prints_the_manifest_as_json(capsys, repository):
    code, out, _ = run(capsys, repository, "show", "judge/1")
    assert code == 0
    assert json.loads(out)["labels"] == ["negative", "positive"]


def test_verify_proves_what_is_whole_and_names_what_is_not(capsys, repository):
    assert run(capsys, repository, "verify")[0] == 0
    (repository / "tiny/1/golden.npz").write_bytes(b"")
    code, out, _ = run(capsys, repository, "verify")
    assert code == 1
    judge, tiny = out.splitlines()
    assert judge.startswith("judge/1\tproved")
    assert tiny.startswith("tiny/1\trefused\tFileMismatch: golden.npz has 0 bytes")
    assert run(capsys, repository, "verify", "judge")[0] == 0


def test_a_bundle_that_is_not_there_is_named(capsys, repository):
    code, _, err = run(capsys, repository, "show", "nope")
    assert code == 1
    assert err == "stepwire-zoo: no bundle 'nope'; there are: judge/1, tiny/1\n"
