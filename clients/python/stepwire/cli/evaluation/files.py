"""Finds the files of a public data set, and proves that they are the right ones."""

import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from stepwire.cli.lines import InputError

VARIABLE = "STEPWIRE_DATA"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a data set."""

    path: str  # below the data folder, where it may also carry .gz
    sha256: str  # of the unpacked bytes

    def read(self) -> bytes:
        """The file's unpacked bytes.

        Raises:
            InputError: it is not there, or not the file that figures are told of.
        """
        content = self._found()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise InputError(f"{self.path} must have SHA-256 {self.sha256}, got {digest}")
        return content

    def _found(self) -> bytes:
        folder = os.environ.get(VARIABLE)
        if not folder:
            raise InputError(f"set {VARIABLE} to the folder that has {self.path}")
        packed, plain = Path(folder, f"{self.path}.gz"), Path(folder, self.path)
        if packed.is_file():
            return gzip.decompress(packed.read_bytes())
        if plain.is_file():
            return plain.read_bytes()
        raise InputError(f"{folder} must have {self.path} or {self.path}.gz, got neither")
