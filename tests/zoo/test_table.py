"""The zoo's page says what the manifests and the measurements say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stepwire_zoo.manifest import INT8, Golden, Metric, Variant
from stepwire_zoo.table import Speed, headlines, page, score, table
from support.tiny import generation_manifest, write_classification, write_generation

ROOT = Path(__file__).parents[2]
MACHINE = {"cpu": "a CPU", "cores": 2, "onnxruntime": "1.31"}
FAST = Speed(value=12345.6, unit="tokens", load="64 greedy streams", machine="a CPU")


def metric(name, value=1.0, unit="share", **others):
    return Metric(name=name, value=value, unit=unit, split="test", **others)


def cells(line):
    return line.strip("| ").split(" | ")


def test_the_page_of_the_zoo_is_what_its_bundles_and_measurements_say():
    """If not: `make table`."""
    wanted = page(ROOT / "model_zoo/bundles", ROOT / "benchmarks/results/zoo.json")
    assert (ROOT / "model_zoo/README.md").read_text() == wanted


def test_every_bundle_of_the_zoo_has_something_in_each_cell():
    lines = page(ROOT / "model_zoo/bundles", ROOT / "none.json").split("\n\n")[2].splitlines()
    names = {path.parent.parent.name for path in (ROOT / "model_zoo/bundles").glob("*/*/CARD.md")}
    assert len(lines) == 2 + len(names)
    for line in lines:
        assert len(cells(line)) == 10
        assert all(cells(line)[:7])


def test_a_bundle_is_a_line_with_its_links_and_its_speed():
    manifest = replace(
        generation_manifest(), architecture="a|b", metrics=(metric("accuracy", published="0.9"),)
    )
    *_, line = table([manifest], {"tiny": FAST}).splitlines()
    assert cells(line) == [
        *("generation", "[tiny](bundles/tiny/1/CARD.md)", "a\\|b", "[random](none), CC0-1.0"),
        *("Apache-2.0", "0.0 MiB", "100.00 % accuracy, test", "0.9", "12,346 tokens/s", "`none`"),
    ]


def test_lines_stand_by_task_and_tell_the_latest_version_alone(tmp_path):
    write_classification(tmp_path, "b")
    write_generation(tmp_path, "z")
    write_generation(tmp_path, "a")
    shutil.copytree(tmp_path / "a/1", tmp_path / "a/2")
    speeds = tmp_path / "speeds.json"
    told = {"value": 10.0, "unit": "tokens", "load": "64 greedy streams", "machine": MACHINE}
    speeds.write_text(json.dumps({"bundles": {"z": told, "gone": told}}))
    text = page(tmp_path, speeds)
    lines = [cells(line) for line in text.splitlines() if line.startswith("| ")][2:]
    assert [line[:2] for line in lines] == [
        ["generation", "[a](bundles/a/1/CARD.md)"],
        ["generation", "[z](bundles/z/1/CARD.md)"],
        ["classification", "[b](bundles/b/1/CARD.md)"],
    ]
    assert [line[8] for line in lines] == ["not measured", "10 tokens/s", "not measured"]
    assert "tokens, 64 greedy streams. On a CPU, 2 cores, ONNX Runtime 1.31." in text


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (metric("accuracy", 0.8756), "87.56 % accuracy, test"),
        (metric("BLEU", 36.284, "of 100"), "36.28 BLEU, test"),
        (metric("loss", 1.44801, "nats per token"), "1.4480 nats per token, test"),
        (metric("MSE, one row ahead", 0.0273, "squared"), "0.0273 MSE, one row ahead, test"),
        (
            metric("accuracy", 0.85, runs=(0.85, 0.84, 0.86)),
            "85.00 % (84.00 % to 86.00 % in 3 runs) accuracy, test",
        ),
    ],
)
def test_a_figure_is_told_in_its_unit(figure, words):
    assert score(figure) == words


def test_beside_the_first_figure_stands_the_one_that_others_can_be_compared_with():
    first, second, third = metric("a"), metric("b", published="0.9"), metric("c", published="0.8")
    manifest = generation_manifest()
    assert headlines(replace(manifest, metrics=(first, second, third))) == [first, second]
    assert headlines(replace(manifest, metrics=(second, first, third))) == [second]
    assert headlines(replace(manifest, metrics=(first, metric("b", published="none yet")))) == [
        first
    ]


def test_figures_are_those_of_the_precision_that_is_served():
    variant = Variant(
        files={"step": "step.int8.onnx"}, golden=Golden(file="g.npz"), metrics=(metric("int8"),)
    )
    manifest = replace(generation_manifest(), files={}, variants={INT8: variant})
    assert [it.name for it in headlines(manifest)] == ["int8"]
    assert [it.name for it in headlines(replace(manifest, precision="float32"))] == ["loss"]
