"""Runs the benchmarks: `python -m benchmarks [--quick] [--only engine generate ...]`.

Prints a table, and as its last line one JSON object with the ratios.
"""

import argparse
import gc
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, plan, report
from benchmarks.ledger import Ledger, Spread
from benchmarks.plan import Plan
from benchmarks.ratios import ratios
from benchmarks.suite import sections
from benchmarks.texts import captions, reviews
from stepwire_zoo.index import find_bundles

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = (
    *("start", "engine", "search", "generate", "prefixes", "classify", "translate", "step", "idle"),
    *("protocols", "echo", "training"),
)


def main() -> None:
    """Runs the command."""
    parser = _parser()
    flags = parser.parse_args()
    wanted = (plan.quick if flags.quick else plan.full)(flags.model_repository)
    names = {"generator": flags.generator, "classifier": flags.classifier}
    wanted = replace(wanted, **names, translator=flags.translator)
    if missing := {*names.values(), flags.translator} - _bundles(wanted.repository):
        parser.error(f"{wanted.repository} has no bundle {' and no '.join(sorted(missing))}")
    (texts, source), sentences = reviews(), captions()
    about = {**_about(wanted), "texts": source, "captions": sentences.source}
    ledger, began = Ledger(), time.monotonic()
    measures = sections(wanted, texts, sentences, ledger, _tell)
    # What is here now stays, as in the server: collections do not look through it.
    gc.collect()
    gc.freeze()
    for name in flags.only or SECTIONS:
        measures[name]()
    about |= {"load_average_after": machine.load_average()}
    about |= {"took_s": round(time.monotonic() - began)}
    found = ratios(wanted, ledger)
    print(report.table(ledger), report.ratio_table(found), sep="\n\n")
    if path := flags.out or (None if flags.quick or flags.only else _results(about)):
        report.save(path, about, ledger, found)
        print(f"\nevery round is in {path}")
    print(_last_line(about, found))


def _bundles(repository: Path) -> set[str]:
    return {at.name for at in find_bundles(repository)} if repository.is_dir() else set()


def _last_line(about: dict[str, object], found: dict[str, Spread]) -> str:
    figures = {name: round(value.median, 3) for name, value in found.items()}
    return json.dumps({**figures, "commit": about["commit"], "took_s": about["took_s"]})


def _about(wanted: Plan) -> dict[str, object]:
    commit, changed = machine.commit()
    settings = {name: value for name, value in vars(wanted).items() if name != "repository"}
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit,
        "changed_since_commit": changed,
        "machine": machine.describe(),
        "load_average_before": machine.load_average(),
        "plan": settings,
    }


def _results(about: dict[str, object]) -> Path:
    return ROOT / "benchmarks" / "results" / f"{about['date']}-{about['commit']}.json"


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of several; rough")
    parser.add_argument("--generator", default=Plan.generator, help="the model that generates")
    parser.add_argument("--classifier", default=Plan.classifier, help="the model that classifies")
    parser.add_argument("--translator", default=Plan.translator, help="the model that translates")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="these sections")
    parser.add_argument(
        "--model-repository",
        type=Path,
        default=ROOT / "model_zoo" / "bundles",
        help="folder of bundles",
    )
    parser.add_argument("--out", type=Path, help="file for every round; full runs name their own")
    return parser


if __name__ == "__main__":
    main()
