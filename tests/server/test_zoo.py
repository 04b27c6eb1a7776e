import json

import pytest

from stepwire_server import zoo
from support import dropins
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


def test_the_table_is_printed_or_written(capsys, repository, tmp_path):
    nothing = ["--speeds", str(tmp_path / "none.json")]
    code, out, _ = run(capsys, repository, "table", *nothing)
    assert code == 0
    assert "[tiny](bundles/tiny/1/CARD.md)" in out
    assert run(capsys, repository, "table", *nothing, "--out", str(tmp_path / "page.md"))[1] == ""
    assert (tmp_path / "page.md").read_text() == out


def test_a_table_is_of_one_repository(capsys, repository):
    code, _, err = run(capsys, repository, "--model-repository", "other", "table")
    assert (code, err) == (1, "stepwire-zoo: table takes one --model-repository, got 2\n")


def test_a_bundle_that_is_not_there_is_named(capsys, repository):
    code, _, err = run(capsys, repository, "show", "nope")
    assert code == 1
    assert err == "stepwire-zoo: no bundle 'nope'; there are: judge/1, tiny/1\n"


def inspect(capsys, *arguments):
    code = zoo.main(["inspect", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_inspect_says_what_it_found_and_why(capsys, tmp_path):
    graph = tmp_path / "tagger.onnx"
    graph.write_bytes(dropins.lstm(names=("x", "a", "b", "out", "z", "y")))
    code, out, _ = inspect(capsys, graph)
    assert code == 0
    assert "  a -> z  float32 [1, N, 24], from zeros" in out
    assert "LSTM '/recurrent/LSTM' begins with the one, ends with the other, as its c" in out
    assert "steps one by one give what they give as a chunk (bit for bit)" in out
    assert "tagger: a model of sequences; the server keeps a and b" in out


def test_inspect_asks_by_name_what_it_cannot_tell(capsys, tmp_path):
    graph = tmp_path / "cell.onnx"
    graph.write_bytes(dropins.step_by_hand())
    code, out, _ = inspect(capsys, graph)
    assert code == 1
    assert "does z or y take the place of a for the next run?" in out
    assert str(tmp_path / "cell.stepwire.json") in out
    code, out, _ = inspect(capsys, graph, "--json")
    assert code == 1
    assert len(json.loads(out)["questions"]) == 2


def test_inspect_writes_what_it_proved_and_keeps_what_was_said(capsys, tmp_path):
    graph, said = tmp_path / "cell.onnx", tmp_path / "cell.stepwire.json"
    graph.write_bytes(dropins.step_by_hand())
    states = [{"input": "a", "output": "z", "start": 0.5}, {"input": "b", "output": "y"}]
    said.write_text(json.dumps({"states": states, "sequence_idle_s": 60}))
    assert inspect(capsys, graph, "--write")[0] == 0
    written = json.loads(said.read_text())
    assert written["states"] == [
        {"input": "a", "output": "z", "batch_axis": 0, "start": 0.5},
        {"input": "b", "output": "y", "batch_axis": 0},
    ]
    assert written["sequence_idle_s"] == 60
    code, out, _ = inspect(capsys, graph, "--json")
    assert code == 0
    assert [pair["output"]["name"] for pair in json.loads(out)["states"]] == ["z", "y"]


def test_inspect_writes_nothing_that_was_not_proved(capsys, tmp_path):
    graph, said = tmp_path / "tagger.onnx", tmp_path / "tagger.stepwire.json"
    graph.write_bytes(dropins.loop_by_hand())
    said.write_text('{"states": [{"input": "a", "output": "y"}, {"input": "b", "output": "z"}]}')
    before = said.read_text()
    code, _, err = inspect(capsys, graph, "--write")
    assert code == 1
    assert "do not go on from run to run" in err
    assert said.read_text() == before


def test_files_without_a_manifest_are_listed_shown_and_proved(capsys, tmp_path):
    (tmp_path / "tagger.onnx").write_bytes(dropins.lstm())
    (tmp_path / "cell/3").mkdir(parents=True)
    (tmp_path / "cell/3/model.onnx").write_bytes(dropins.step_by_hand())
    code, out, _ = run(capsys, tmp_path, "list")
    assert code == 0
    assert [line.split("\t")[:2] for line in out.splitlines()] == [
        ["cell/3", "tensors"],
        ["tagger/1", "tensors"],
    ]
    code, out, _ = run(capsys, tmp_path, "show", "tagger")
    assert code == 0
    assert [state["input"]["name"] for state in json.loads(out)["states"]] == ["h", "c"]
    code, out, _ = run(capsys, tmp_path, "verify")
    assert code == 1
    cell, tagger = out.splitlines()
    assert cell.startswith("cell/3\trefused\tWiringUnproved: states: does z or y")
    assert tagger.startswith("tagger/1\tproved")
