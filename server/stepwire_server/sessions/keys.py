"""Keys, and boxes that only their holder can make or open.

A box is `magic, id of the key, salt, ciphertext`. It is sealed by AES-256-GCM under a key of
its own, derived by HKDF-SHA256 (RFC 5869) from the ring's key and the salt, so that no nonce is
ever used twice. Everything before the ciphertext is authenticated with it.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stepwire_server.errors import StartupError

_MAGIC = b"SW1"
_SALT_BYTES = 16
_KEY_BYTES = 32
_TAG_BYTES = 16
_NONCE = bytes(12)  # each box has a key of its own
_MOST_NAME_BYTES = 32


class CannotOpen(Exception):
    """A box that cannot be opened; why is in the subclass."""


class NotABox(CannotOpen):
    """It is cut short, or something else."""


class UnknownKey(CannotOpen):
    """It was sealed with a key that is not in the ring."""


class Forged(CannotOpen):
    """It was not sealed by a holder of the key, or changed since."""


@dataclass(frozen=True)
class KeyRing:
    """Keys by name. The first seals; all of them open."""

    keys: dict[str, bytes]

    @classmethod
    def fresh(cls) -> Self:
        """A key that nobody else has and that dies with the process."""
        return cls({secrets.token_hex(4): secrets.token_bytes(_KEY_BYTES)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file of keys: a line has a name and 32 bytes in base64.

        Raises:
            StartupError: naming the line, never what is in it.
        """
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StartupError(f"key file {path} cannot be read: {error}") from None
        keys: dict[str, bytes] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, encoded = line.strip().partition(" ")
            key = _decoded(encoded)
            named = 0 < len(name.encode()) <= _MOST_NAME_BYTES and name not in keys
            if not named or len(key) != _KEY_BYTES:
                raise StartupError(
                    f"line {number} of key file {path} must be a name of its own, of at most "
                    f"{_MOST_NAME_BYTES} bytes, a space, and {_KEY_BYTES} bytes in base64"
                )
            keys[name] = key
        if not keys:
            raise StartupError(f"key file {path} has no key")
        return cls(keys)

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Puts content into a box.

        Args:
            purpose: boxes of one purpose do not open as another's.
            content: any bytes.
        """
        name, key = next(iter(self.keys.items()))
        salt = secrets.token_bytes(_SALT_BYTES)
        head = _MAGIC + bytes([len(name.encode())]) + name.encode() + salt
        return head + _cipher(key, salt, purpose).encrypt(_NONCE, content, head)

    def open(self, purpose: str, box: bytes) -> bytes:
        """Takes the content out of a box; raises CannotOpen."""
        start = len(_MAGIC) + 1
        if not box.startswith(_MAGIC) or len(box) < start:
            raise NotABox
        end = start + box[start - 1]
        head, sealed = box[: end + _SALT_BYTES], box[end + _SALT_BYTES :]
        if len(sealed) < _TAG_BYTES:
            raise NotABox
        key = self.keys.get(box[start:end].decode(errors="replace"))
        if key is None:
            raise UnknownKey
        try:
            return _cipher(key, head[end:], purpose).decrypt(_NONCE, sealed, head)
        except InvalidTag:
            raise Forged from None


def _cipher(key: bytes, salt: bytes, purpose: str) -> AESGCM:
    info = b"stepwire " + purpose.encode()
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt, info).derive(key))


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
