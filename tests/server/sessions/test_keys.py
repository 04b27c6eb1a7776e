import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.errors import StartupError
from stepwire_server.sessions.keys import CannotOpen, Forged, KeyRing, NotABox, UnknownKey

RING = KeyRing({"new": bytes(32), "old": bytes(range(32))})


@given(st.binary(max_size=300))
def test_a_box_gives_back_what_was_put_in(content):
    assert RING.open("purpose", RING.seal("purpose", content)) == content


def test_the_same_content_never_makes_the_same_box():
    assert RING.seal("purpose", b"x") != RING.seal("purpose", b"x")


def test_a_box_of_one_purpose_is_none_of_another():
    with pytest.raises(Forged):
        RING.open("another", RING.seal("purpose", b"x"))


def test_keys_rotate_and_old_boxes_still_open():
    old = KeyRing({"old": RING.keys["old"]}).seal("purpose", b"x")
    assert RING.open("purpose", old) == b"x"
    assert b"new" in RING.seal("purpose", b"x")[:8]


def test_a_key_that_was_dropped_opens_nothing():
    with pytest.raises(UnknownKey):
        KeyRing.fresh().open("purpose", RING.seal("purpose", b"x"))


@given(st.data())
def test_a_box_with_any_byte_changed_does_not_open(data):
    box = bytearray(RING.seal("purpose", b"the state"))
    place = data.draw(st.integers(0, len(box) - 1))
    box[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        RING.open("purpose", bytes(box))


@given(st.integers(0, 60))
def test_a_box_cut_short_does_not_open(length):
    box = RING.seal("purpose", b"the state of some session, long enough")
    with pytest.raises(CannotOpen):
        RING.open("purpose", box[:length])


@given(st.binary(max_size=80))
def test_what_is_no_box_does_not_open(junk):
    with pytest.raises(CannotOpen):
        RING.open("purpose", junk)


def test_nothing_is_no_box():
    with pytest.raises(NotABox):
        RING.open("purpose", b"")


def test_a_file_of_keys_is_read_its_first_key_first(tmp_path):
    path = tmp_path / "keys"
    encoded = {name: base64.b64encode(key).decode() for name, key in RING.keys.items()}
    path.write_text("# ours\n" + "".join(f"{name} {key}\n" for name, key in encoded.items()))
    assert list(KeyRing.read(path).keys.items()) == list(RING.keys.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no key"),
        ("one abc\n", "line 1"),
        ("one AAAA\n", "line 1"),
        (f"one {base64.b64encode(bytes(32)).decode()}\n" * 2, "line 2"),
    ],
)
def test_a_file_of_keys_that_is_none_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(StartupError, match=message):
        KeyRing.read(path)


def test_a_refused_key_is_not_shown(tmp_path):
    path = tmp_path / "keys"
    path.write_text("one c2VjcmV0\n")
    with pytest.raises(StartupError) as refused:
        KeyRing.read(path)
    assert "c2VjcmV0" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StartupError, match="nowhere"):
        KeyRing.read(tmp_path / "nowhere")
