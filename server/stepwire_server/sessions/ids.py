"""Ids of sessions: unguessable, and sealed with what tells a dead one from one that never was."""

import base64
import binascii
import secrets
import struct
from hashlib import blake2b
from typing import NamedTuple

from stepwire_server.sessions.keys import CannotOpen, KeyRing

_PURPOSE = "session id"
_CONTENT = struct.Struct("<8s16sd")
_OWNER_BYTES = 8


class SealedId(NamedTuple):
    """What an id says of its session."""

    owner: bytes  # a digest
    ends_at: float  # of the wall clock, in seconds: the end of its longest life


def make(ring: KeyRing, owner: str, ends_at: float) -> str:
    """A new id."""
    content = _CONTENT.pack(_owner_digest(owner), secrets.token_bytes(16), ends_at)
    return base64.urlsafe_b64encode(ring.seal(_PURPOSE, content)).decode().rstrip("=")


def read(ring: KeyRing, session_id: str, owner: str) -> SealedId | None:
    """What an id says; None if it is none of ours, or not the owner's."""
    try:
        padding = "=" * (-len(session_id) % 4)
        box = base64.b64decode(session_id + padding, altchars=b"-_", validate=True)
        digest, _, ends_at = _CONTENT.unpack(ring.open(_PURPOSE, box))
    except (CannotOpen, binascii.Error, ValueError, struct.error):
        return None
    return SealedId(digest, ends_at) if digest == _owner_digest(owner) else None


def _owner_digest(owner: str) -> bytes:
    return blake2b(owner.encode(), digest_size=_OWNER_BYTES).digest()
