"""Which bundles a repository holds: `<repository>/<name>/<version>/manifest.json`."""

import re
from dataclasses import dataclass
from pathlib import Path

_VERSION = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True, order=True)
class Location:
    """Where one version of one model lies. Ordered by name, then by version."""

    name: str
    version: int
    folder: Path


def find_bundles(repository: Path) -> list[Location]:
    """Lists a repository's bundles without opening them.

    A version is a folder whose name is a whole number from 1; anything else is passed
    over, as Triton's users expect. A model's folder that cannot be read stands in the list
    as its version 0, so that it is refused by name and not forgotten.

    Raises:
        OSError: the repository cannot be read.
    """
    models = (folder for folder in repository.iterdir() if folder.name[0] not in "._")
    return sorted(place for folder in models for place in _versions(folder))


def _versions(model: Path) -> list[Location]:
    try:
        return [
            Location(model.name, int(folder.name), folder)
            for folder in (model.iterdir() if model.is_dir() else ())
            if _VERSION.fullmatch(folder.name) and folder.is_dir()
        ]
    except PermissionError:
        return [Location(model.name, 0, model)]
