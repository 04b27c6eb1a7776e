"""How fast each bundle of the zoo is served: `python -m benchmarks.zoo [NAME ...]`.

For each bundle in turn a server with default settings and that bundle alone, and a load through
the public contract for a few seconds, chosen by the bundle's task. Writes
benchmarks/results/zoo.json after each, so that one bundle can be measured again; the table of
the zoo is made from it (`make table`).
"""

import argparse
import asyncio
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine, servers
from benchmarks.ledger import spread
from benchmarks.load.generation import tokens_for
from benchmarks.load.labeling import PATH as CLASSIFY
from benchmarks.load.labeling import call_for
from benchmarks.load.translation import translate_for
from benchmarks.texts import captions, made_up
from stepwire import Client
from stepwire.cli.evaluation.bundles import EVALUATIONS
from stepwire.cli.lines import InputError
from stepwire.v1.embeddings_pb2 import NeighborsRequest
from stepwire.v1.forecasting_pb2 import ForecastRequest
from stepwire.v1.generation_pb2 import GenerateRequest
from stepwire.v1.labeling_pb2 import ClassifyRequest, TagRequest
from stepwire_zoo.bundle import Bundle, open_bundle
from stepwire_zoo.index import find_bundles
from stepwire_zoo.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "zoo.json"
TAG = "/stepwire.v1.LabelingService/Tag"
NEIGHBORS = "/stepwire.v1.EmbeddingService/Neighbors"
FORECAST = "/stepwire.v1.ForecastingService/Forecast"
IN_FLIGHT = 64
TOKENS = 200  # of a stream, where the model allows as many
ROWS = 256  # of a series
EXAMPLES = 2_000  # at most, drawn from a split

Words = Sequence[str]  # a text, cut


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a server is asked, and for how long."""

    address: str
    manifest: Manifest
    inputs: Sequence[Words]  # texts of the kind that the bundle is for
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """How bundles of a task are asked."""

    unit: str  # what is counted
    told: str  # how they are asked, in words
    per_s: Callable[[Asked], Coroutine[Any, Any, float]]


async def generate(asked: Asked) -> float:
    """Tokens a second of greedy streams, each followed by another."""
    request = GenerateRequest(model=asked.manifest.name)
    # A token that every vocabulary has; texts may hold what this one does not know.
    request.prompts.add().tokens.ids.append(0)
    request.options.temperature = 0.0
    request.options.beam_width = 1
    request.options.max_tokens = min(TOKENS, asked.manifest.limits.max_new_tokens)
    return await tokens_for(asked.address, request, streams=IN_FLIGHT, duration_s=asked.duration_s)


async def classify(asked: Asked) -> float:
    """Texts a second."""
    name = asked.manifest.name
    requests = [
        ClassifyRequest(model=name, texts=[" ".join(text)], truncate=True) for text in asked.inputs
    ]
    return await _calls_per_s(asked, CLASSIFY, requests)


async def tag(asked: Asked) -> float:
    """Sentences a second, which the model cuts."""
    requests = []
    for words in asked.inputs:
        request = TagRequest(model=asked.manifest.name, truncate=True)
        request.inputs.add(text=" ".join(words))
        requests.append(request)
    return await _calls_per_s(asked, TAG, requests)


async def translate(asked: Asked) -> float:
    """Sentences a second, by the search that the model does by itself."""
    run = await translate_for(
        asked.address,
        asked.manifest.name,
        [" ".join(text) for text in asked.inputs],
        clients=IN_FLIGHT,
        beam_width=int(asked.manifest.decoding.get("beam_width", 1)),
        duration_s=asked.duration_s,
    )
    return run.values()["sentences_per_s"]


async def forecast(asked: Asked) -> float:
    """Rows a second that are read of histories, each of which is predicted from once."""
    series = asked.manifest.series
    assert series is not None, "a forecaster has one"
    request = ForecastRequest(model=asked.manifest.name)
    width = len(series.columns)
    request.histories.add(
        values=[10 + math.sin(row / 4) + column for row in range(ROWS) for column in range(width)]
    )
    return ROWS * await _calls_per_s(asked, FORECAST, [request])


async def neighbors(asked: Asked) -> float:
    """Words a second, each with its ten nearest."""
    words = sorted({word for words in asked.inputs for word in words})
    requests = [NeighborsRequest(model=asked.manifest.name, words=[word]) for word in words]
    return await _calls_per_s(asked, NEIGHBORS, requests)


async def _calls_per_s(asked: Asked, path: str, requests: Sequence[Any]) -> float:
    run = await call_for(
        asked.address, path, requests, in_flight=IN_FLIGHT, duration_s=asked.duration_s
    )
    return len(run.latencies_s) / run.took_s


LOADS = {
    "generation": Load(unit="tokens", told=f"{IN_FLIGHT} greedy streams", per_s=generate),
    "classification": Load(
        unit="texts", told=f"one a call, {IN_FLIGHT} calls in flight", per_s=classify
    ),
    "tagging": Load(unit="sentences", told=f"one a call, {IN_FLIGHT} calls in flight", per_s=tag),
    "translation": Load(
        unit="translations",
        told=f"one a call, {IN_FLIGHT} calls in flight, by the model's own search",
        per_s=translate,
    ),
    "forecasting": Load(
        unit="rows",
        told=f"read in series of {ROWS} rows, one a call, {IN_FLIGHT} calls in flight",
        per_s=forecast,
    ),
    "embedding": Load(
        unit="words",
        told=f"the ten nearest of one a call, {IN_FLIGHT} calls in flight",
        per_s=neighbors,
    ),
}


def inputs_of(manifest: Manifest) -> tuple[list[Words], str]:
    """Texts of the kind that a bundle is for, and where they come from.

    Those of the split that it is scored on, where it is at hand, else words of its language.
    """
    try:
        examples = list(EVALUATIONS[manifest.name][0].read())
        found = [words for example in examples if (words := _words(example))]
    except (KeyError, InputError):
        found = []
    if found:
        return random.Random(1).sample(found, min(EXAMPLES, len(found))), "its own test split"
    if "ko" in manifest.languages[:1]:
        return [text.split() for text in made_up(EXAMPLES)], "made up, Korean"
    return [text.split() for text in captions().sentences], "captions of photographs, English"


def _words(example: Any) -> Words:
    """What a model reads of an example; nothing if that is no text."""
    if isinstance(words := getattr(example, "words", None), list | tuple):
        return words
    text = getattr(example, "text", None) or getattr(example, "source", "")
    return text.split() if isinstance(text, str) else ()


def measure(bundle: Bundle, rounds: int, round_s: float) -> dict[str, object]:
    """Serves a bundle and asks it; gives its entry in the file.

    Raises:
        KeyError: nobody has said how bundles of its task are asked.
    """
    manifest, load = bundle.manifest, LOADS[bundle.manifest.task]
    inputs, source = inputs_of(manifest)
    before = machine.load_average()
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.running({servers.OURS: servers.ours(_alone(bundle, Path(folder)))}) as (server,),
    ):

        def per_s(duration_s: float) -> float:
            asked = Asked(
                address=server.address, manifest=manifest, inputs=inputs, duration_s=duration_s
            )
            return asyncio.run(load.per_s(asked))

        with Client(server.address) as client:
            precision = client.model(manifest.name).precision
        per_s(round_s / 4)  # warm-up
        values = [per_s(round_s) for _ in range(rounds)]
    found = spread(values)
    commit, changed = machine.commit()
    return {
        "value": _rounded(found.median),
        "lowest": _rounded(found.lowest),
        "highest": _rounded(found.highest),
        "unit": load.unit,
        "load": load.told,
        "inputs": source if manifest.task not in ("generation", "forecasting") else "made up",
        "rounds": rounds,
        "round_s": round_s,
        "version": manifest.version,
        "precision": precision,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit,
        "changed_since_commit": changed,
        "load_average_before": before,
        "load_average_after": machine.load_average(),
        "machine": machine.describe(),
    }


def _alone(bundle: Bundle, folder: Path) -> Path:
    """A repository with one version of one model."""
    (folder / bundle.manifest.name).mkdir()
    link = folder / bundle.manifest.name / bundle.manifest.version
    link.symlink_to(bundle.folder.resolve(), target_is_directory=True)
    return folder


def _rounded(value: float) -> float:
    """Four digits are more than a measurement knows."""
    return float(f"{value:.4g}")


def save(path: Path, name: str, entry: dict[str, object]) -> None:
    """Puts an entry into the file, in the place of an older one."""
    bundles = json.loads(path.read_text())["bundles"] if path.exists() else {}
    bundles = dict(sorted({**bundles, name: entry}.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"bundles": bundles}, ensure_ascii=False, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = _parser()
    flags = parser.parse_args(arguments)
    latest = {place.name: place for place in find_bundles(flags.model_repository)}
    if missing := sorted(set(flags.names) - latest.keys()):
        parser.error(f"{flags.model_repository} has no bundle {', '.join(missing)}")
    for name in flags.names or latest:
        bundle = open_bundle(latest[name].folder)
        if bundle.manifest.task not in LOADS:
            print(f"{name}: no load for task {bundle.manifest.task}", file=sys.stderr)
            continue
        entry = measure(bundle, flags.rounds, flags.seconds)
        save(flags.out, name, entry)
        between = f"{entry['lowest']:,} to {entry['highest']:,}"
        print(f"{name}\t{entry['value']:,} {entry['unit']}/s\t{between}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="bundles to measure [all]")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is told [3]")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round [2]")
    parser.add_argument(
        "--model-repository", type=Path, default=ROOT / "model_zoo" / "bundles", help="of bundles"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"file to write [{RESULTS.name}]")
    return parser


if __name__ == "__main__":
    main()
