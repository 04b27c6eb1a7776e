"""State tokens: a session's state as bytes that its caller keeps.

A token is a box of `keys.py`. Inside: the format's version, a head in JSON of some two hundred
bytes, and the packed state. Whoever holds a token can go on from it; presenting it twice makes
two sessions.
"""

import json
import struct
from dataclasses import asdict, dataclass

from stepwire_server.engine.layout import Layout
from stepwire_server.errors import (
    StateTokenExpired,
    StateTokenForged,
    StateTokenInexact,
    StateTokenOtherModel,
    StateTokenOtherOwner,
    StateTokenUnknownKey,
    StateTokenUnreadable,
)
from stepwire_server.sessions.keys import Forged, KeyRing, NotABox, UnknownKey

_PURPOSE = "state token"
_FORMAT = 1
_HEAD = struct.Struct("<BH")  # format, bytes of JSON


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a state belongs to."""

    model: str
    version: str
    digest: str  # of the bundle
    numerics: str  # fingerprint of graph, provider, runtime and CPU
    layout: Layout


@dataclass(frozen=True, kw_only=True)
class TokenHead:
    """What a token says of its state."""

    model: str
    version: str
    digest: str
    numerics: str
    owner: str
    next_step: int
    ends_at: int  # of the wall clock, in seconds
    half: bool = False  # numbers of half precision
    inexact: bool = False  # it came from such numbers, or from other numerics


@dataclass(frozen=True, kw_only=True)
class StateToken:
    """A token that was opened."""

    head: TokenHead
    packed: bytes  # as written; see `state_of`


def seal(ring: KeyRing, head: TokenHead, packed: bytes, layout: Layout) -> bytes:
    """Makes a token."""
    written = json.dumps(asdict(head), separators=(",", ":")).encode()
    body = layout.halved(packed) if head.half else packed
    return ring.seal(_PURPOSE, _HEAD.pack(_FORMAT, len(written)) + written + body)


def unseal(ring: KeyRing, token: bytes, owner: str, now: float) -> StateToken:
    """Opens a token of a caller.

    Args:
        ring: the server's keys.
        token: what the caller presents.
        owner: who presents it.
        now: of the wall clock, in seconds.

    Raises:
        StateTokenUnusable: why it cannot be used, by its class.
    """
    try:
        content = ring.open(_PURPOSE, token)
    except NotABox:
        raise StateTokenUnreadable("the state token is cut short, or none at all") from None
    except UnknownKey:
        raise StateTokenUnknownKey(
            "the state token was sealed with a key that this server does not have"
        ) from None
    except Forged:
        raise StateTokenForged("the state token was changed, or is forged") from None
    version, length = _HEAD.unpack_from(content)
    if version != _FORMAT:
        raise StateTokenUnreadable(
            f"the state token has format {version}, this server reads {_FORMAT}"
        )
    head = TokenHead(**json.loads(content[_HEAD.size : _HEAD.size + length]))
    if head.owner != owner:
        raise StateTokenOtherOwner("the state token was made for another caller")
    if now >= head.ends_at:
        raise StateTokenExpired("the state token's time is over")
    return StateToken(head=head, packed=content[_HEAD.size + length :])


def state_of(token: StateToken, origin: Origin, *, accept_inexact: bool) -> bytes:
    """The packed state that a token carries, for a model.

    Raises:
        StateTokenOtherModel: it belongs to another.
        StateTokenInexact: its numbers are not exactly this model's, and that is not accepted.
    """
    head = token.head
    if (head.model, head.digest) != (origin.model, origin.digest):
        raise StateTokenOtherModel(
            f"the state token is of {head.model} version {head.version}, build "
            f"{head.digest[:12]}, not of {origin.model} version {origin.version}, build "
            f"{origin.digest[:12]}"
        )
    wanted = origin.layout.halved_bytes() if head.half else origin.layout.size_bytes
    if len(token.packed) != wanted:
        raise StateTokenUnreadable(
            f"the state token has {len(token.packed)} bytes of state, not {wanted}"
        )
    other = head.numerics != origin.numerics
    if (other or head.half) and not accept_inexact:
        why = "by another CPU, provider or build" if other else "in half precision"
        raise StateTokenInexact(
            f"the state token's numbers were written {why}; accept_inexact allows it"
        )
    packed = origin.layout.restored(token.packed) if head.half else token.packed
    if not origin.layout.is_finite(packed):
        raise StateTokenUnreadable("the state token has numbers that are not finite")
    return packed
