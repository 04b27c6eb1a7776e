"""The zoo as one table for people: what stands in model_zoo/README.md.

All of it comes from the manifests and from a file of measured speeds, so that it can be written
again at any time and a test can tell whether it is still true.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.index import find_bundles
from stepwire_zoo.manifest import FLOAT32, INT8, TASKS, Dataset, Manifest, Metric

TITLES = (
    *("task", "bundle", "architecture", "data", "licence", "size", "score"),
    *("published beside it", "speed", "command to train again"),
)
PAGE = """\
# The zoo

Every bundle of this repository, by task. `make table` writes this page (`stepwire-zoo table`) \
from the manifests and from measured speeds.

{table}

- **bundle**: its name leads to its card, which has every figure, the splits, the proofs, and what \
not to expect.
- **score**: of the precision that a server on a CPU takes by itself; beside it the range of \
several runs, where a recipe ran with several seeds. `stepwire evaluate NAME` makes it again from \
the served model ([client.md](../docs/client.md)).
- **published beside it**: figures of others, of the same split only where they say so.
- **size**: of all files of the bundle, in both precisions where there are two.
- **speed**: what a server with default settings gives through gRPC, server and load on one \
machine, as `python -m benchmarks.zoo` measures it ([benchmarks](../benchmarks/README.md)): \
{loads}. {machines}
"""
NO_SPEED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast a bundle was served."""

    value: float  # a second
    unit: str  # of what: "tokens"
    load: str  # how it was asked, in words
    machine: str  # and where

    @classmethod
    def read(cls, measured: Mapping[str, Any]) -> Self:
        """From an entry of the file of speeds."""
        machine = measured["machine"]
        return cls(
            value=measured["value"],
            unit=measured["unit"],
            load=measured["load"],
            machine=f"{machine['cpu']}, {machine['cores']} cores, "
            f"ONNX Runtime {machine['onnxruntime']}",
        )


def page(repository: Path, speeds: Path) -> str:
    """The text of the page.

    Args:
        repository: of bundles; of each the latest version is told.
        speeds: the file of measured speeds; there may be none.

    Raises:
        BundleError: a bundle cannot be read.
    """
    latest = {place.name: place for place in find_bundles(repository) if place.graph is None}
    manifests = [open_bundle(place.folder).manifest for place in latest.values()]
    manifests.sort(key=lambda manifest: (TASKS.index(manifest.task), manifest.name))
    measured = json.loads(speeds.read_text())["bundles"] if speeds.exists() else {}
    found = {name: Speed.read(entry) for name, entry in measured.items() if name in latest}
    return PAGE.format(
        table=table(manifests, found),
        loads="; ".join(sorted({f"{it.unit}, {it.load}" for it in found.values()})) or NO_SPEED,
        machines=" ".join(sorted({f"On {it.machine}." for it in found.values()})),
    )


def table(manifests: Sequence[Manifest], speeds: Mapping[str, Speed]) -> str:
    """A line for each bundle, in the order in which they are given."""
    rows = [TITLES, ("---",) * len(TITLES)]
    rows += [_row(manifest, speeds.get(manifest.name)) for manifest in manifests]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(manifest: Manifest, speed: Speed | None) -> tuple[str, ...]:
    told = headlines(manifest)
    # A card may say that there is none, beside a figure that no others stand beside.
    beside = [metric.published for metric in (*told, *manifest.metrics) if metric.published][:1]
    return (
        manifest.task,
        f"[{manifest.name}](bundles/{manifest.name}/{manifest.version}/CARD.md)",
        _cell(manifest.architecture),
        "; ".join(map(_data, manifest.provenance.data)),
        _cell(manifest.licence),
        f"{manifest.size_bytes / 2**20:.1f} MiB",
        "; ".join(map(score, told)),
        _cell("".join(beside)),
        f"{speed.value:,.0f} {speed.unit}/s" if speed else NO_SPEED,
        f"`{manifest.provenance.command}`",
    )


def headlines(manifest: Manifest) -> list[Metric]:
    """The first figure and, if it is another, the one that others' figures can be set beside."""
    by_itself = INT8 if INT8 in manifest.variants else FLOAT32
    first, *others = manifest.metrics_in(manifest.precision or by_itself)
    beside = [it for it in others if it.published and not it.published.startswith("none")]
    return [first] if first.published else [first, *beside[:1]]


def score(metric: Metric) -> str:
    """A figure in words: "87.56 % accuracy"."""
    value, several = _value(metric, metric.value), ""
    if metric.runs:
        lowest, highest = (_value(metric, end) for end in (min(metric.runs), max(metric.runs)))
        several = f" ({lowest} to {highest} in {len(metric.runs)} runs)"
    name = metric.unit if metric.unit.startswith("nats") else metric.name
    return _cell(f"{value}{several} {name}, {metric.split}")


def _value(metric: Metric, value: float) -> str:
    if metric.unit.startswith("share"):
        return f"{100 * value:.2f} %"
    return f"{value:.2f}" if metric.unit.startswith("of 100") else f"{value:.4f}"


def _data(source: Dataset) -> str:
    return _cell(f"[{source.name}]({source.home}), {source.licence}")


def _cell(text: str) -> str:
    """Text that ends no cell."""
    return text.replace("|", "\\|")
