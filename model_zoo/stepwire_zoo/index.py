"""Which bundles a repository holds: `<repository>/<name>/<version>/manifest.json`."""

from dataclasses import dataclass
from pathlib import Path

from stepwire_zoo.bundle import MANIFEST


@dataclass(frozen=True, order=True)
class Location:
    """Where one version of one model lies. Ordered by name, then by version."""

    name: str
    version: int
    folder: Path


def find_bundles(repository: Path) -> list[Location]:
    """Lists a repository's bundles without opening them.

    A version is a folder whose name is a whole number from 1 and that holds a
    manifest; anything else is passed over, as Triton's users expect.

    Raises:
        OSError: the repository cannot be read.
    """
    found = [
        Location(model.name, int(version.name), version)
        for model in repository.iterdir()
        if model.is_dir() and not model.name.startswith(".")
        for version in model.iterdir()
        if _is_version(version)
    ]
    return sorted(found)


def _is_version(folder: Path) -> bool:
    number = folder.name
    counts = number.isascii() and number.isdigit() and number[0] != "0" and len(number) < 10
    return counts and (folder / MANIFEST).exists()
