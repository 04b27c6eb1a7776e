"""Tokens: a session's state, or a sequence under way, as bytes that the caller keeps.

A token is a box of `keys.py`. Inside: the format's version, a head in JSON of some two hundred
bytes, and the body: for a state token the packed state. Whoever holds a token can go on from
it; presenting it twice makes two sessions, or two sequences.
"""

import json
import struct
from collections.abc import Sequence
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
from stepwire_server.registry.origin import Origin
from stepwire_server.sessions.keys import Forged, KeyRing, NotABox, UnknownKey

STATE = "state token"
RESUME = "resume token"
_FORMAT = 1
_HEAD = struct.Struct("<BH")  # format, bytes of JSON


@dataclass(frozen=True, kw_only=True)
class TokenHead:
    """What a token says of its body."""

    model: str
    version: str
    digest: str
    numerics: str
    owner: str
    next_step: int
    ends_at: int  # of the wall clock, in seconds
    half: bool = False  # numbers of half precision
    inexact: bool = False  # it came from such numbers, or from other numerics
    source: Sequence[int] = ()  # what a translator looks at


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token that was opened."""

    purpose: str
    head: TokenHead
    body: bytes


def seal(ring: KeyRing, purpose: str, head: TokenHead, body: bytes) -> bytes:
    """Makes a token."""
    written = json.dumps(asdict(head), separators=(",", ":")).encode()
    return ring.seal(purpose, _HEAD.pack(_FORMAT, len(written)) + written + body)


def seal_state(ring: KeyRing, head: TokenHead, packed: bytes, layout: Layout) -> bytes:
    """Makes a state token."""
    body = layout.halved(packed) if head.half and packed else packed
    return seal(ring, STATE, head, body)


def unseal(ring: KeyRing, purpose: str, token: bytes, owner: str, now: float) -> Token:
    """Opens a token of a caller.

    Args:
        ring: the server's keys.
        purpose: what the token must be for.
        token: what the caller presents.
        owner: who presents it.
        now: of the wall clock, in seconds.

    Raises:
        StateTokenUnusable: why it cannot be used, by its class.
    """
    try:
        content = ring.open(purpose, token)
    except NotABox:
        raise StateTokenUnreadable(f"the {purpose} is cut short, or none at all") from None
    except UnknownKey:
        raise StateTokenUnknownKey(
            f"the {purpose} was sealed with a key that this server does not have"
        ) from None
    except Forged:
        raise StateTokenForged(f"the {purpose} was changed, or is forged") from None
    version, length = _HEAD.unpack_from(content)
    if version != _FORMAT:
        raise StateTokenUnreadable(
            f"the {purpose} has format {version}, this server reads {_FORMAT}"
        )
    head = TokenHead(**json.loads(content[_HEAD.size : _HEAD.size + length]))
    if head.owner != owner:
        raise StateTokenOtherOwner(f"the {purpose} was made for another caller")
    if now >= head.ends_at:
        raise StateTokenExpired(f"the {purpose}'s time is over")
    return Token(purpose=purpose, head=head, body=content[_HEAD.size + length :])


def check_origin(token: Token, origin: Origin, *, accept_inexact: bool) -> None:
    """Refuses a token that a model cannot go on from.

    Raises:
        StateTokenOtherModel: it belongs to another.
        StateTokenInexact: its numbers are not exactly this model's, and that is not accepted.
    """
    head = token.head
    if (head.model, head.digest) != (origin.model, origin.digest):
        raise StateTokenOtherModel(
            f"the {token.purpose} is of {head.model} version {head.version}, build "
            f"{head.digest[:12]}, not of {origin.model} version {origin.version}, build "
            f"{origin.digest[:12]}"
        )
    other = head.numerics != origin.numerics
    if (other or head.half) and not accept_inexact:
        why = "by another CPU, provider or build" if other else "in half precision"
        raise StateTokenInexact(
            f"the {token.purpose}'s numbers were written {why}; accept_inexact allows it"
        )


def state_of(token: Token, origin: Origin, *, accept_inexact: bool) -> bytes:
    """The packed state that a state token carries, for a model; raises as `check_origin`."""
    check_origin(token, origin, accept_inexact=accept_inexact)
    layout, half = origin.layout, token.head.half
    if not token.body and token.head.source and not token.head.next_step:
        return b""  # its source gives it
    wanted = layout.halved_bytes if half else layout.size_bytes
    if len(token.body) != wanted:
        raise StateTokenUnreadable(
            f"the state token has {len(token.body)} bytes of state, not {wanted}"
        )
    packed = layout.restored(token.body) if half else token.body
    check_states([packed], layout, token.purpose)
    return packed


def check_states(states: Sequence[bytes], layout: Layout, purpose: str) -> None:
    """Raises StateTokenUnreadable where a token has states that are none."""
    for packed in states:
        if len(packed) != layout.size_bytes or not layout.is_finite(packed):
            raise StateTokenUnreadable(f"the {purpose} has numbers that are not finite")
