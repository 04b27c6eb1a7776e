from dataclasses import replace

import numpy as np
import pytest

from stepwire_server.engine.layout import Layout
from stepwire_server.errors import (
    StateTokenExpired,
    StateTokenForged,
    StateTokenInexact,
    StateTokenOtherModel,
    StateTokenOtherOwner,
    StateTokenUnknownKey,
    StateTokenUnreadable,
    StateTokenUnusable,
)
from stepwire_server.registry.origin import Origin
from stepwire_server.sessions.keys import KeyRing
from stepwire_server.sessions.tokens import STATE as PURPOSE
from stepwire_server.sessions.tokens import TokenHead, seal_state, state_of, unseal

RING = KeyRing.fresh()
LAYOUT = Layout((("h", (2, 3), np.dtype("float32")), ("seen", (4,), np.dtype("int64"))))
ORIGIN = Origin(model="tiny", version="1", digest="d" * 64, numerics="n" * 32, layout=LAYOUT)
HEAD = TokenHead(
    model="tiny",
    version="1",
    digest=ORIGIN.digest,
    numerics=ORIGIN.numerics,
    owner="me",
    next_step=7,
    ends_at=1000,
)
STATE = LAYOUT.pack(
    {"h": np.random.default_rng(1).normal(size=(2, 3)), "seen": np.array([1, 2**40, 0, -5])}
)


def go_on(token, owner="me", now=10, origin=ORIGIN, *, ring=RING, accept_inexact=False):
    """What a server does with a token that it is presented."""
    opened = unseal(ring, PURPOSE, token, owner, now)
    return opened.head, state_of(opened, origin, accept_inexact=accept_inexact)


def test_a_token_gives_back_the_very_state_and_the_step():
    head, packed = go_on(seal_state(RING, HEAD, STATE, LAYOUT))
    assert (head.next_step, packed) == (7, STATE)


def test_a_token_is_a_few_hundred_bytes_over_its_state():
    assert len(seal_state(RING, HEAD, STATE, LAYOUT)) - len(STATE) < 400


def test_half_precision_halves_the_numbers_and_must_be_accepted():
    token = seal_state(RING, replace(HEAD, half=True), STATE, LAYOUT)
    assert len(token) < len(seal_state(RING, HEAD, STATE, LAYOUT))
    with pytest.raises(StateTokenInexact, match="half precision"):
        go_on(token)
    _, packed = go_on(token, accept_inexact=True)
    state, wanted = LAYOUT.unpack(packed), LAYOUT.unpack(STATE)
    np.testing.assert_allclose(state["h"], wanted["h"], rtol=1e-3)
    np.testing.assert_array_equal(state["seen"], wanted["seen"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"owner": "you"}, StateTokenOtherOwner),
        ({"now": 1000}, StateTokenExpired),
        ({"ring": KeyRing.fresh()}, StateTokenUnknownKey),
        ({"origin": replace(ORIGIN, digest="e" * 64)}, StateTokenOtherModel),
        ({"origin": replace(ORIGIN, model="other")}, StateTokenOtherModel),
        ({"origin": replace(ORIGIN, numerics="m" * 32)}, StateTokenInexact),
    ],
)
def test_each_refusal_has_its_own_reason(change, reason):
    with pytest.raises(reason):
        go_on(seal_state(RING, HEAD, STATE, LAYOUT), **change)


def test_other_numerics_may_be_accepted():
    token = seal_state(RING, HEAD, STATE, LAYOUT)
    other = replace(ORIGIN, numerics="m" * 32)
    assert go_on(token, origin=other, accept_inexact=True)[1] == STATE


def test_a_changed_token_is_forged():
    token = bytearray(seal_state(RING, HEAD, STATE, LAYOUT))
    token[-1] ^= 1
    with pytest.raises(StateTokenForged):
        go_on(bytes(token))


@pytest.mark.parametrize("length", [0, 3, 20])
def test_a_token_cut_short_is_unreadable_or_forged(length):
    token = seal_state(RING, HEAD, STATE, LAYOUT)
    with pytest.raises(StateTokenUnreadable):
        go_on(token[:length])
    with pytest.raises(StateTokenUnusable):
        go_on(token[:-1])


def test_a_newer_format_is_named():
    newer = RING.seal("state token", b"\x02\x00\x00")
    with pytest.raises(StateTokenUnreadable, match="format 2, this server reads 1"):
        go_on(newer)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(number):
    bad = LAYOUT.pack({"h": np.full((2, 3), number), "seen": np.zeros(4)})
    with pytest.raises(StateTokenUnreadable, match="not finite"):
        go_on(seal_state(RING, HEAD, bad, LAYOUT))


def test_an_id_is_no_token():
    with pytest.raises(StateTokenForged):
        go_on(RING.seal("session id", b"x" * 40))
