"""A published folder: opening one proves every byte of it.

Files are read once, checked against their digests and handed on as bytes, so what was
proved is what is used, whatever happens to the folder afterwards.
"""

import hashlib
import json
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from stepwire_zoo import schema
from stepwire_zoo.errors import FileMismatch, FormatUnknown, ManifestInvalid
from stepwire_zoo.manifest import FORMAT, File, Manifest

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """An opened bundle."""

    folder: Path
    manifest: Manifest
    digest: str  # SHA-256 of manifest.json, which names the digests of all other files

    def read(self, name: str) -> bytes:
        """Reads a file that the manifest lists.

        Raises:
            FileMismatch: it is missing, a link, of another size, or changed.
        """
        wanted = self.manifest.files[name]
        data = _read_plain(self.folder / name, wanted.size_bytes)
        if len(data) != wanted.size_bytes:
            raise FileMismatch(f"{name} has {len(data)} bytes, not {wanted.size_bytes}")
        if hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise FileMismatch(f"{name} is not the file that was published: its SHA-256 differs")
        return data

    def read_all(self) -> dict[str, bytes]:
        """Reads every file; raises FileMismatch at the first that is wrong."""
        return {name: self.read(name) for name in self.manifest.files}


def open_bundle(folder: Path) -> Bundle:
    """Reads a bundle's manifest.

    Raises:
        ManifestInvalid: it cannot be read, or a field is wrong.
        FormatUnknown: written in another format.
        FileMismatch: manifest.json is missing or not a plain file.
    """
    data = _read_plain(folder / MANIFEST, MAX_MANIFEST_BYTES)
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"{MANIFEST} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"{MANIFEST} is not JSON: {error}") from error
    written = value.get("format") if isinstance(value, dict) else None
    if written != FORMAT:
        raise FormatUnknown(f"format is {written!r}, this version reads {FORMAT}")
    manifest = schema.read(Manifest, value)
    if not manifest.files:
        raise ManifestInvalid("files: lists nothing")
    return Bundle(folder, manifest, hashlib.sha256(data).hexdigest())


def write_bundle(folder: Path, manifest: Manifest, files: dict[str, bytes]) -> Bundle:
    """Publishes a bundle: fills in the digests and writes everything, the manifest last.

    Args:
        folder: `<repository>/<name>/<version>`; made if it is not there.
        manifest: `files` is replaced.
        files: contents by plain file name.

    Returns:
        The bundle as a reader opens it.
    """
    digests = {
        name: File(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        for name, data in sorted(files.items())
    }
    manifest = replace(manifest, files=digests)
    text = json.dumps(schema.write(manifest), ensure_ascii=False, indent=2) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        _write_whole(folder / name, data)
    _write_whole(folder / MANIFEST, text.encode())
    return open_bundle(folder)


def _read_plain(path: Path, limit_bytes: int) -> bytes:
    """Reads at most one byte more than the limit; never follows a link out of the folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileMismatch(f"{path.name} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileMismatch(f"{path.name} is not a plain file")
        return file.read(limit_bytes + 1)


def _write_whole(path: Path, data: bytes) -> None:
    """Writes beside and renames, so that a full disk never leaves half a file behind."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(data)
    draft.replace(path)
