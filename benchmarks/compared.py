"""Writes the tables of docs/sentiment_compared.md: `python -m benchmarks.compared`.

Figures come from the manifests of the bundles, speeds from results/zoo.json (`python -m
benchmarks.zoo`), and what they go by from the table that `python -m
stepwire_training.compare_kinds` writes. Nothing is measured here.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.zoo import RESULTS
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "sentiment_compared.md"
ZOO = ROOT / "model_zoo" / "bundles"
KINDS = ROOT / "training" / "stepwire_training" / "recipes" / "nsmc_kinds.csv"
BUNDLES = (
    *("nsmc-bayes", "nsmc-cnn", "nsmc-rnn", "nsmc-gru", "nsmc-lstm", "nsmc-ln-lstm"),
    *("nsmc-transformer", "nsmc-bilstm"),
)
HEADING = (
    *("bundle", "built of", "parameters", "accuracy, %", "in three runs", "nats a text"),
    *("MiB", "training", "texts/s"),
)
BEGIN, END = "<!-- {} -->", "<!-- end of {} -->"  # around a table, with its name


def main() -> None:
    """Writes the page anew."""
    speeds = json.loads(RESULTS.read_text())["bundles"] if RESULTS.exists() else {}
    page = replaced(PAGE.read_text(), "figures", table(list(figures(speeds))))
    with KINDS.open(newline="") as file:
        page = replaced(page, "kinds", table(list(csv.reader(file))))
    PAGE.write_text(page)


def figures(speeds: dict[str, Any]) -> Iterator[Sequence[str]]:
    """The first table, line by line; speeds are entries of results/zoo.json."""
    yield HEADING
    for name in BUNDLES:
        yield row(open_bundle(ZOO / name / "1").manifest, speeds.get(name))


def row(manifest: Manifest, speed: dict[str, Any] | None) -> Sequence[str]:
    """The line of a bundle."""
    made = manifest.provenance
    told = {metric.name: metric for metric in manifest.metrics if metric.split == "test"}
    accuracy = told["accuracy"]
    spread = f"{min(accuracy.runs):.2%} to {max(accuracy.runs):.2%}" if accuracy.runs else "one run"
    minutes = made.training_seconds / 60
    return (
        f"`{manifest.name}`",
        manifest.architecture,
        f"{made.parameters:,}",
        f"{accuracy.value:.2%}".rstrip("%"),
        spread.replace("%", ""),
        f"{told['loss'].value:.3f}",
        f"{manifest.size_bytes / 2**20:.1f}",
        f"{minutes:.0f} min" if minutes >= 1 else f"{made.training_seconds:.0f} s",
        f"{speed['value']:,.0f}" if speed else "not measured",
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as Markdown, the first of them the heading."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replaced(page: str, name: str, content: str) -> str:
    """A page with another table between the marks of a name."""
    before, rest = page.split(BEGIN.format(name))
    _, behind = rest.split(END.format(name))
    return f"{before}{BEGIN.format(name)}\n{content}\n{END.format(name)}{behind}"


if __name__ == "__main__":
    main()
