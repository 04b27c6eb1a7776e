"""`stepwire-zoo`: looks into repositories of models, and proves what it finds."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from stepwire_server.config import PROVIDERS, BatchingConfig, RuntimeConfig
from stepwire_server.errors import StartupError
from stepwire_server.registry.dropin import report
from stepwire_server.registry.dropin.connecting import wiring_of
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.inspecting import Inspected
from stepwire_server.registry.dropin.opening import look, prove, said_of
from stepwire_server.registry.dropin.serving import open_dropin
from stepwire_server.registry.dropin.settings import write_settings
from stepwire_server.registry.lifecycle import find_models
from stepwire_server.registry.loaded import TENSORS
from stepwire_server.registry.opening import Opener
from stepwire_zoo import schema, table
from stepwire_zoo.bundle import open_bundle
from stepwire_zoo.errors import BundleError, WiringUnproved
from stepwire_zoo.index import Location
from stepwire_zoo.manifest import FLOAT32

BUNDLES = Path("model_zoo/bundles")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns its exit status."""
    flags = _parser().parse_args(arguments)
    try:
        return int(flags.command(flags))
    except (StartupError, BundleError) as error:
        print(f"stepwire-zoo: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stepwire-zoo", description=__doc__)
    parser.add_argument(
        "--model-repository",
        type=Path,
        action="append",
        help="folder of bundles; may be given more than once [model_zoo/bundles]",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="every model, a line each")
    listing.set_defaults(command=_list)
    showing = commands.add_parser("show", help="a manifest, or what was found of a file, as JSON")
    showing.add_argument("model", help="name, or name/version")
    showing.set_defaults(command=_show)
    verifying = commands.add_parser("verify", help="check digests and replay golden cases")
    verifying.add_argument("model", nargs="*", help="name, or name/version [all]")
    verifying.add_argument("--provider", default="cpu", choices=list(PROVIDERS))
    verifying.set_defaults(command=_verify)
    telling = commands.add_parser("table", help="the zoo as one page of Markdown")
    telling.add_argument(
        "--speeds",
        type=Path,
        default=Path("benchmarks/results/zoo.json"),
        help="what `python -m benchmarks.zoo` measured [benchmarks/results/zoo.json]",
    )
    telling.add_argument("--out", type=Path, help="file to write [standard output]")
    telling.set_defaults(command=_table)
    inspecting = commands.add_parser("inspect", help="find out what an ONNX file's tensors mean")
    inspecting.add_argument("graph", type=Path, help="the file")
    inspecting.add_argument("--write", action="store_true", help="write stepwire.json beside it")
    inspecting.add_argument("--json", action="store_true", help="for programs")
    inspecting.set_defaults(command=_inspect)
    return parser


def _inspect(flags: argparse.Namespace) -> int:
    files = Files.of(flags.graph)
    said = said_of(files)
    graph, inspected = look(files, said, RuntimeConfig())
    if inspected.questions:
        _tell_questions(flags, files, inspected)
        return 1
    try:
        proof = prove(graph, inspected, files, said, BatchingConfig().max_rows)
    except WiringUnproved:
        _print_all(report.found(inspected, wiring_of(inspected)))
        raise
    if flags.json:
        print(json.dumps(report.as_json(files.model, proof), ensure_ascii=False, indent=2))
    else:
        _print_all([f"{flags.graph}", "", *report.found(inspected, proof.wiring), ""])
        _print_all([*report.proved(proof.claims), "", *report.served(files.model, proof)])
    if flags.write:
        kept = json.loads(files.settings() or "{}")
        text = write_settings({**kept, **report.as_settings(proof)})
        files.settings_path.write_text(text, encoding="utf-8")
        print(f"wrote {files.settings_path}", file=sys.stderr)
    return 0


def _tell_questions(flags: argparse.Namespace, files: Files, inspected: Inspected) -> None:
    if flags.json:
        value = report.as_open_json(files.model, inspected)
        print(json.dumps(value, ensure_ascii=False, indent=2))
        return
    found = report.found(inspected, wiring_of(inspected))
    _print_all([f"{flags.graph}", "", *found, "", *report.asked(inspected)])
    _print_all([f"  the file is to be {files.settings_path}"])


def _print_all(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _list(flags: argparse.Namespace) -> int:
    refused = 0
    for place in _places(flags):
        if place.graph is not None:
            size = f"{place.graph.stat().st_size / 2**20:.1f} MiB"
            print(f"{place.name}/{place.version}\t{TENSORS}\t{size}\tan ONNX file, no manifest")
            continue
        try:
            spec = open_bundle(place.folder).manifest
        except BundleError as error:
            refused += 1
            print(f"{place.name}/{place.version}\trefused\t{type(error).__name__}: {error}")
            continue
        size = f"{spec.size_bytes / 2**20:.1f} MiB"
        print(f"{spec.name}/{spec.version}\t{spec.task}\t{size}\t{spec.summary}")
    return 1 if refused else 0


def _show(flags: argparse.Namespace) -> int:
    for place in _matching(flags, [flags.model]):
        if place.graph is not None:
            proof, _ = open_dropin(place, RuntimeConfig(), BatchingConfig().max_rows)
            value = {**report.as_json(place.name, proof), "digest": proof.inspected.digest}
        else:
            bundle = open_bundle(place.folder)
            value = {**schema.write(bundle.manifest), "digest": bundle.digest}
        print(json.dumps(value, ensure_ascii=False, indent=2))
    return 0


def _table(flags: argparse.Namespace) -> int:
    repository, *others = flags.model_repository or [BUNDLES]
    if others:
        raise StartupError(f"table takes one --model-repository, got {1 + len(others)}")
    text = table.page(repository, flags.speeds)
    if flags.out:
        flags.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def _verify(flags: argparse.Namespace) -> int:
    opener = Opener(batching=BatchingConfig(), runtime=RuntimeConfig(provider=flags.provider))
    failed = 0
    for place in _matching(flags, flags.model):
        name, began = f"{place.name}/{place.version}", time.monotonic()
        try:
            _open(place, opener)
        except BundleError as error:
            failed += 1
            print(f"{name}\trefused\t{type(error).__name__}: {error}")
        else:
            print(f"{name}\tproved\t{time.monotonic() - began:.2f} s")
    return 1 if failed else 0


def _open(place: Location, opener: Opener) -> None:
    if place.graph is not None:
        open_dropin(place, opener.runtime, opener.batching.max_rows)
    else:
        bundle = open_bundle(place.folder)
        for precision in (FLOAT32, *bundle.manifest.variants):
            replace(opener, precision=precision).open(bundle)


def _places(flags: argparse.Namespace) -> list[Location]:
    return find_models(tuple(flags.model_repository or [BUNDLES]))


def _matching(flags: argparse.Namespace, wanted: list[str]) -> list[Location]:
    """Finds the bundles that are asked for; nothing asked for is all of them."""
    places = _places(flags)
    for name in wanted:
        if not any(name in _names(place) for place in places):
            known = ", ".join(f"{place.name}/{place.version}" for place in places)
            raise StartupError(f"no bundle {name!r}; there are: {known}")
    return [place for place in places if not wanted or set(wanted) & _names(place)]


def _names(place: Location) -> set[str]:
    return {place.name, f"{place.name}/{place.version}"}


if __name__ == "__main__":
    sys.exit(main())
