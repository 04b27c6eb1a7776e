"""Where a file that drops in lies, and what lies beside it.

`<model>/<version>/model.onnx` with `config.pbtxt` in `<model>`, and `stepwire.json` in
either; or a bare `<name>.onnx` with `<name>.stepwire.json`.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stepwire_server.registry.dropin.settings import MAX_SETTINGS_BYTES, SETTINGS
from stepwire_zoo.errors import FileMismatch
from stepwire_zoo.index import GRAPH, VERSION

CONFIG = "config.pbtxt"
INITIAL_STATE = "initial_state"
MAX_GRAPH_BYTES = (1 << 31) - 1  # what ONNX's own format can hold
_MAX_SIDE_BYTES = 1 << 28


@dataclass(frozen=True)
class Files:
    """A graph's file, and those that belong to it."""

    path: Path  # of the graph
    folders: tuple[Path, ...] = ()  # where others may lie, the nearest first
    prefix: str = ""  # before the names of those that lie beside a bare file

    @classmethod
    def of(cls, path: Path) -> "Files":
        """Those of an ONNX file, in a version's folder or bare."""
        if path.name == GRAPH and VERSION.fullmatch(path.absolute().parent.name):
            folder = path.absolute().parent
            return cls(path, (folder, folder.parent))
        return cls(path, (path.parent,), f"{path.stem}.")

    @property
    def model(self) -> str:
        """The name that requests will use."""
        return self.path.stem if self.prefix else self.folders[-1].name

    @property
    def name(self) -> str:
        """What to call the graph."""
        return self.path.name

    @property
    def is_bare(self) -> bool:
        """Whether it lies in no version's folder."""
        return bool(self.prefix)

    def all_beside(self) -> Iterator[Path]:
        """Files outside the version's folder whose change changes the model."""
        if self.is_bare:
            # Others lie in the same folder: only what has its name belongs to it.
            yield self.path
            yield self.settings_path
            return
        yield from (path for path in self.folders[-1].iterdir() if path.is_file())
        initial = self.folders[-1] / INITIAL_STATE
        yield from initial.iterdir() if initial.is_dir() else ()

    def graph(self) -> bytes:
        """Reads the graph; raises FileMismatch."""
        data = _read(self.path, MAX_GRAPH_BYTES)
        if not data:
            raise FileMismatch(f"{self.name} is empty")
        return data

    def settings(self) -> bytes | None:
        """Reads stepwire.json, if there is one; raises FileMismatch."""
        return self._optional(f"{self.prefix}{SETTINGS}", MAX_SETTINGS_BYTES)

    @property
    def settings_path(self) -> Path:
        """Where stepwire.json is, or would be written."""
        return self.folders[0] / f"{self.prefix}{SETTINGS}"

    def config(self) -> bytes | None:
        """Reads config.pbtxt, if there is one; raises FileMismatch."""
        if self.prefix:
            return None
        return _read_if_there(self.folders[-1] / CONFIG, MAX_SETTINGS_BYTES)

    def beside(self, name: str) -> bytes:
        """Reads a file that a settings file names; raises FileMismatch."""
        _check_plain(name)
        data = self._optional(name, _MAX_SIDE_BYTES)
        if data is None:
            raise FileMismatch(f"{name} is not there: it belongs beside {self.name}")
        return data

    def initial_state(self, name: str) -> bytes:
        """Reads a file that config.pbtxt names; raises FileMismatch."""
        _check_plain(name)
        return _read(self.folders[-1] / INITIAL_STATE / name, _MAX_SIDE_BYTES)

    def _optional(self, name: str, limit_bytes: int) -> bytes | None:
        for folder in self.folders:
            data = _read_if_there(folder / name, limit_bytes)
            if data is not None:
                return data
        return None


def _check_plain(name: str) -> None:
    """A name with a path in it could be of any file of the machine."""
    if Path(name).name != name or name in (".", ".."):
        raise FileMismatch(f"a file beside the graph must have a plain name, got {name[:64]!r}")


def _read_if_there(path: Path, limit_bytes: int) -> bytes | None:
    return _read(path, limit_bytes) if path.exists() else None


def _read(path: Path, limit_bytes: int) -> bytes:
    """Reads a plain file whole; a pipe or a device would never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileMismatch(f"{path.name} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise FileMismatch(f"{path.name} is not a plain file")
        if found.st_size > limit_bytes:
            raise FileMismatch(f"{path.name} is larger than {limit_bytes} bytes")
        return file.read(limit_bytes)
