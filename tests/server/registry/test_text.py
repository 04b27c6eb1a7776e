import unicodedata

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_server.errors import InvalidRequest
from stepwire_server.registry.text import TextStream, Tokenizer
from stepwire_zoo import manifest
from stepwire_zoo.errors import FileMismatch
from support.kinds import KINDS, SAMPLES
from support.tiny import CHARACTERS, UNKNOWN, VOCABULARY, character_tokenizer


def characters(max_tokens=8, **fields):
    spec = manifest.Tokenizer(
        file="tokenizer.json", vocabulary_size=VOCABULARY, unknown=UNKNOWN, **fields
    )
    return Tokenizer(character_tokenizer(), spec, max_tokens)


def stream(tokenizer, tokens, stops=(), sizes=(1,)):
    """Pushes tokens in chunks of the given sizes; returns the pieces and the stream."""
    text, pieces, at = TextStream(tokenizer, stops), [], 0
    while at < len(tokens) and not text.stopped:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text.push(tokens[at : at + size]))
        at += size
    if not text.stopped:
        pieces.append(text.finish())
    return pieces, text


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(
    st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=3).map(" ".join),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
async def test_streamed_text_is_the_whole_text_and_never_splits_a_character(kind, text, sizes):
    tokenizer = KINDS[kind]
    tokens = await tokenizer.encode("text", text)
    pieces, _ = stream(tokenizer, tokens, sizes=sizes)
    expected = unicodedata.normalize("NFC", tokenizer.decode(tokens))
    assert "".join(pieces) == expected
    assert unicodedata.normalize("NFC", "".join(pieces)) == expected
    for piece in pieces:
        assert "\ufffd" not in piece


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(
    st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=3).map(" ".join),
    st.lists(st.text("a 가각", min_size=1, max_size=3), max_size=2),
    st.data(),
)
async def test_a_text_that_was_saved_goes_on_as_if_nothing_had_happened(kind, text, stops, data):
    tokenizer = KINDS[kind]
    tokens = await tokenizer.encode("text", text)
    cut = data.draw(st.integers(0, len(tokens)))
    first = TextStream(tokenizer, stops)
    for token in tokens[:cut]:
        first.push([token])
        if first.stopped:
            return
    second = TextStream(tokenizer, stops)
    second.restore(first.save())

    def rest(goes_on):
        pieces = [goes_on.push([token]) for token in tokens[cut:] if not goes_on.stopped]
        return pieces if goes_on.stopped else [*pieces, goes_on.finish()]

    assert rest(second) == rest(first)


async def test_a_syllable_comes_out_when_it_can_no_longer_change():
    tokenizer = KINDS["jamo"]
    tokens = await tokenizer.encode("text", "각 간")
    pieces, _ = stream(tokenizer, tokens)
    assert pieces == ["", "", "", "각", " ", "", "", "간"]


async def test_text_comes_early_where_nothing_can_change_it():
    tokenizer = characters()
    tokens = await tokenizer.encode("text", "abc")
    pieces, _ = stream(tokenizer, tokens)
    assert pieces == ["a", "b", "c", ""]


async def test_bytes_that_never_become_a_character_are_not_held_for_ever():
    tokenizer = KINDS["bytes"]
    tokens = await tokenizer.encode("text", "한")
    text = TextStream(tokenizer, ())
    lone = tokens[-1:] if len(tokens) > 1 else tokens
    pieces = [text.push(lone) for _ in range(12)]
    assert any(pieces)


@given(
    st.text(alphabet="ab ", max_size=30),
    st.lists(st.text(alphabet="ab ", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
async def test_text_ends_before_the_stop_that_is_complete_first(text, stops, sizes):
    tokenizer = characters(max_tokens=100)
    tokens = await tokenizer.encode("text", text)
    pieces, streamed = stream(tokenizer, tokens, stops, sizes)
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(s) for s in stops)]
    expected = text
    if ends:
        longest = max(len(stop) for stop in stops if text[: ends[0]].endswith(stop))
        expected = text[: ends[0] - longest]
    assert "".join(pieces) == expected
    assert streamed.stopped == bool(ends)


async def test_a_stop_is_found_in_whatever_form_it_is_written():
    tokenizer = KINDS["jamo"]
    tokens = await tokenizer.encode("text", "한글 각 간")
    pieces, streamed = stream(tokenizer, tokens, [unicodedata.normalize("NFD", "각")])
    assert ("".join(pieces), streamed.stopped) == ("한글 ", True)


async def test_a_continuation_keeps_the_space_between_it_and_its_prompt():
    tokenizer = KINDS["words"]
    prompt = await tokenizer.encode("text", "naïve")
    whole = await tokenizer.encode("text", "naïve café English")
    assert whole[: len(prompt)] == prompt
    text = TextStream(tokenizer, (), prompt)
    new = whole[len(prompt) :]
    assert text.push(new) + text.finish() == " café English"


def test_bytes_that_are_no_character_do_not_spoil_the_one_that_follows():
    tokenizer = KINDS["bytes"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    letters = tokenizers.Tokenizer.from_str(tokenizer._tokenizer.to_str()).get_vocab()
    by_byte = bytes_to_letters()
    assert set(by_byte.values()) <= set(alphabet)
    tokens = [letters[by_byte[byte]] for byte in b"\x80\x80\x80\xe1\x80\x80a"]
    pieces, _ = stream(tokenizer, tokens, sizes=(4, 3))
    assert "".join(pieces) == tokenizer.decode(tokens) == "\ufffd\ufffd\ufffd\u1000a"


def bytes_to_letters():
    """How byte-level tokenizers write bytes: GPT-2's table of printable stand-ins."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    return table | {byte: chr(256 + index) for index, byte in enumerate(others)}


async def test_a_character_the_model_never_saw_is_named():
    tokenizer = characters(accepts_unknown=False)
    with pytest.raises(InvalidRequest, match=r"prompt must .* got '한' \(U\+D55C\) at character 3"):
        await tokenizer.encode("prompt", "ab 한")


async def test_a_text_over_the_limit_is_refused_or_cut():
    tokenizer = characters(max_tokens=8)
    with pytest.raises(InvalidRequest, match="prompt must have at most 8 tokens, got 9 tokens"):
        await tokenizer.encode("prompt", "a" * 9)
    texts = ["a" * 9, "a" * 8, "a" * 100_000]
    encoded = tokenizer.encode_now(["x"] * 3, texts, truncate=True)
    assert [(len(tokens), cut) for tokens, cut in encoded] == [(8, True), (8, False), (8, True)]


async def test_a_huge_text_is_refused_without_being_tokenised():
    with pytest.raises(InvalidRequest, match="got 10000000 characters"):
        await characters().encode("prompt", "a" * 10_000_000)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(st.lists(st.sampled_from(SAMPLES), max_size=3).map(" ".join), st.integers(0, 40))
async def test_tokens_stand_at_the_same_characters_however_these_are_written(kind, text, count):
    tokenizer = KINDS[kind]
    shown = []
    for form in ("NFC", "NFD"):
        written = unicodedata.normalize(form, text)
        tokens = (await tokenizer.encode("text", written))[:count]
        spans = tokenizer.spans_of(written, tokens)
        assert len(spans) == len(tokens)
        assert all(0 <= first <= last <= len(written) for first, last in spans)
        shown.append((tokens, [unicodedata.normalize("NFC", written[a:b]) for a, b in spans]))
    (tokens, parts), (others, again) = shown
    if tokens == others:  # a tokenizer that composes nothing reads other tokens
        assert again == parts


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(st.lists(st.sampled_from(SAMPLES), max_size=3).map("  ".join))
async def test_the_tokens_of_a_text_cover_all_of_it_but_its_white_space(kind, text):
    tokenizer = KINDS[kind]
    spans = tokenizer.spans_of(text, await tokenizer.encode("text", text))
    covered = {place for first, last in spans for place in range(first, last)}
    assert covered >= {place for place, character in enumerate(text) if not character.isspace()}
    assert all(text[a:b] == text[a:b].strip() or text[a:b].isspace() for a, b in spans)


def test_tokens_outside_the_vocabulary_are_refused():
    with pytest.raises(InvalidRequest, match=r"ids\[1\] must be in \[0, 28\], got 29"):
        characters().check("ids", [3, 29])


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"model": 3}'])
def test_what_is_no_tokenizer_is_refused(data):
    spec = manifest.Tokenizer(file="tokenizer.json", vocabulary_size=1)
    with pytest.raises(FileMismatch, match=r"tokenizer\.json cannot be read"):
        Tokenizer(data, spec, 1)


def test_a_vocabulary_of_another_size_is_refused():
    spec = manifest.Tokenizer(file="tokenizer.json", vocabulary_size=len(CHARACTERS))
    with pytest.raises(FileMismatch, match="has 29 tokens up to 28, not those from 0 to 27"):
        Tokenizer(character_tokenizer(), spec, 1)
