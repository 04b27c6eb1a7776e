"""Which models a repository holds.

Bundles: `<repository>/<name>/<version>/manifest.json`. Graphs without a manifest:
`<repository>/<name>/<version>/model.onnx`, as Triton lays them out, and bare files
`<repository>/<name>.onnx`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GRAPH = "model.onnx"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
VERSION = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True, order=True)
class Location:
    """Where one version of one model lies. Ordered by name, then by version."""

    name: str
    version: int
    folder: Path
    graph: Path | None = None  # the ONNX file of a model that has no manifest


def find_bundles(repository: Path) -> list[Location]:
    """Lists a repository's models without opening them.

    A version is a folder whose name is a whole number from 1; anything else is passed
    over, as Triton's users expect. A model's folder that cannot be read stands in the list
    as its version 0, so that it is refused by name and not forgotten.

    Raises:
        OSError: the repository cannot be read.
    """
    entries = [entry for entry in repository.iterdir() if entry.name[0] not in "._"]
    return sorted(place for entry in entries for place in _models(entry))


def _models(entry: Path) -> Iterator[Location]:
    if entry.suffix == ".onnx" and entry.is_file():
        # A name that requests could not use is no model's.
        if NAME.fullmatch(entry.stem):
            yield Location(entry.stem, 1, entry.parent, entry)
    else:
        yield from _versions(entry)


def _versions(model: Path) -> list[Location]:
    try:
        return [
            Location(model.name, int(folder.name), folder, _graph(folder))
            for folder in (model.iterdir() if model.is_dir() else ())
            if VERSION.fullmatch(folder.name) and folder.is_dir()
        ]
    except PermissionError:
        return [Location(model.name, 0, model)]


def _graph(folder: Path) -> Path | None:
    """The ONNX file, where no manifest says more than it does."""
    if (folder / "manifest.json").exists() or not (folder / GRAPH).exists():
        return None
    return folder / GRAPH
