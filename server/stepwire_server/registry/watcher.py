"""What changed in the repositories between two looks, once it is quiet."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stepwire_server.registry.dropin.files import Files
from stepwire_zoo.index import Location

# Of each file: its path, change time, size and inode. A link to another folder
# shows in the inodes, a file that is still being copied in size and time.
Stamp = tuple[tuple[str, int, int, int], ...]


class Changes(NamedTuple):
    """What to do after a look."""

    came: list[Location]  # new ones, and those whose files changed
    went: list[Location]


class Watcher:
    """Compares looks. A version counts once two looks in a row saw the same files."""

    def __init__(self, known: Sequence[Location]) -> None:
        """Takes what is there as known; raises OSError."""
        self._known = {place: stamp_of(place) for place in known}
        self._seen = dict(self._known)

    def look(self, found: Sequence[Location]) -> Changes:
        """Says what came and what went since the last look; raises OSError.

        Args:
            found: the versions that are there now, all of them.
        """
        stamps = {place: stamp_of(place) for place in found}
        quiet = [place for place, stamp in stamps.items() if self._seen.get(place) == stamp]
        came = [place for place in quiet if self._known.get(place) != stamps[place]]
        there = {(place.name, place.version) for place in found}
        # One that is gone for two looks is gone: a link is swapped in a moment.
        went = [
            place
            for place in self._known
            if place not in stamps
            and place not in self._seen
            and ((place.name, place.version) in there or _is_gone(place))
        ]
        self._known |= {place: stamps[place] for place in came}
        for place in went:
            del self._known[place]
        self._seen = stamps
        return Changes(came, went)

    def settled(self, name: str) -> list[Location]:
        """The versions of a model that count."""
        return sorted(place for place in self._known if place.name == name)


def stamp_of(place: Location) -> Stamp:
    """What the files of a version look like from outside."""
    return tuple(sorted(_files(place)))


def _is_gone(place: Location) -> bool:
    """Whether a version is not there; one that cannot be read just now still is."""
    try:
        (place.graph or place.folder).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _files(place: Location) -> Iterator[tuple[str, int, int, int]]:
    for path in _paths(place):
        try:
            found = path.stat()
        except FileNotFoundError:  # gone since it was listed: the next look sees it
            continue
        yield (str(path), found.st_mtime_ns, found.st_size, found.st_ino)


def _paths(place: Location) -> Iterator[Path]:
    """Everything that a version is made of."""
    if place.graph is not None:
        files = Files.of(place.graph)
        yield from files.all_beside()
        if files.is_bare:
            return
    for folder, _, names in os.walk(place.folder, followlinks=True):
        yield from (Path(folder) / name for name in names)
