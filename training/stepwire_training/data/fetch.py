"""Finds a data file: on this machine if it is there, else from its public home.

Every file is checked against the SHA-256 of its unpacked bytes before it is used, so a
changed or broken copy never reaches a model.
"""

import gzip
import hashlib
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

BESIDE_CHECKOUT = Path(__file__).resolve().parents[4] / "shared" / "data"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of a public data set."""

    path: str  # below a data folder, where it may also carry .gz
    url: str  # its public home
    sha256: str  # of the unpacked bytes

    def read(self) -> bytes:
        """The file's bytes, fetched if need be."""
        content = self._local() or self._fetched()
        self._check(content)
        return content

    def _local(self) -> bytes | None:
        for folder in data_folders():
            if (folder / f"{self.path}.gz").is_file():
                return gzip.decompress((folder / f"{self.path}.gz").read_bytes())
            if (folder / self.path).is_file():
                return (folder / self.path).read_bytes()
        return None

    def _fetched(self) -> bytes:
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            content: bytes = answer.read()
        content = gzip.decompress(content) if self.url.endswith(".gz") else content
        self._check(content)
        target = cache_folder() / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.rename(target)
        return content

    def _check(self, content: bytes) -> None:
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise ValueError(f"{self.path} must have SHA-256 {self.sha256}, got {found}")


def data_folders() -> list[Path]:
    """Where data may lie already, in the order they are asked."""
    named = os.environ.get("STEPWIRE_DATA")
    return [Path(named)] if named else [BESIDE_CHECKOUT, cache_folder()]


def cache_folder() -> Path:
    """Where fetched files are kept."""
    base = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(base) / "stepwire" / "data"
