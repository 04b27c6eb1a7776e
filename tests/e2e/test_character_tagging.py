"""A tagger whose words are characters, on a real server: spaces are read, and not told of."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.conftest import server_config
from stepwire import Client, InvalidRequest
from support.background import background
from support.tiny_character_tagger import logits, write_character_tagger
from support.tiny_tagger import BUCKETS, LABELS

TEXT = "서울 간다."


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    write_character_tagger(folder)
    with (
        background(server_config(folder)) as (app, _),
        Client(f"127.0.0.1:{app.grpc_port}") as client,
    ):
        yield client


def tag(client, *inputs, **options):
    return client.tag("letters", list(inputs), **options)


def places_of(result):
    return [(token.text, token.start, token.end) for token in result.tokens]


def test_a_space_is_read_and_only_what_stands_beside_it_is_told(client):
    [result] = tag(client, TEXT)
    best = [LABELS[n] for n in logits(TEXT).argmax(axis=1)]

    assert places_of(result) == [
        *(("서", 0, 1), ("울", 1, 2)),
        *(("간", 3, 4), ("다", 4, 5), (".", 5, 6)),
    ]
    assert list(result.tags) == best[:2] + best[3:]
    [closed] = tag(client, TEXT.replace(" ", ""))
    assert closed.tokens[2].tags != result.tokens[2].tags


def test_characters_that_are_cut_already_are_told_all_of_them(client):
    cut, given = tag(client, TEXT, list(TEXT))

    assert [token.text for token in given.tokens] == list(TEXT)
    assert [token for token in given.tokens if token.text != " "] == list(cut.tokens)


def test_decomposed_hangul_is_read_as_the_syllables_that_it_is(client):
    apart = unicodedata.normalize("NFD", TEXT)
    whole, found, given = tag(
        client, TEXT, apart, [unicodedata.normalize("NFD", each) for each in TEXT]
    )

    assert [apart[token.start : token.end] for token in found.tokens] == [
        unicodedata.normalize("NFD", token.text) for token in whole.tokens
    ]
    assert [token.tags for token in found.tokens] == [token.tags for token in whole.tokens]
    assert [t.tags for t in given.tokens if t.text != " "] == [t.tags for t in whole.tokens]


@pytest.mark.parametrize("text", ["", " ", "\n\t \u3000"])
def test_a_text_of_white_space_has_no_characters_to_tell_of(client, text):
    assert tag(client, text)[0].tokens == ()


def test_emoji_are_the_code_points_that_they_are(client):
    [result] = tag(client, "😀👩‍👧 \U0001d4b3")

    assert places_of(result) == [
        *(("😀", 0, 1), ("👩", 1, 2), ("\u200d", 2, 3), ("👧", 3, 4)),
        ("\U0001d4b3", 5, 6),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["서울", "간"], r"words\[0\] must be one character, got '서울'"),
        (["서", ""], r"words\[1\] must be one character, got ''"),
        (["서"] * 10_000, r"must have at most 16 characters, got 10000 characters"),
        ("서" * 17, r"text must have at most 16 characters, got 17 characters"),
        ("서울 " * 10_000, r"text must have at most 16 characters, got 30000 characters"),
    ],
)
def test_what_cannot_be_tagged_is_named(client, given, message):
    with pytest.raises(InvalidRequest, match=message):
        tag(client, given)


def test_ten_thousand_characters_are_cut_if_the_caller_says_so(client):
    for result in tag(client, "서울 " * 10_000, ["서"] * 10_000, truncate=True):
        assert result.truncated
        assert result.tokens[-1].text in "서울"
    assert len(result.tokens) == BUCKETS[-1]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_of_any_text_every_character_but_space_stands_where_it_is_said_to(client, text):
    [result] = tag(client, text, truncate=True)
    ends = [0]
    for token in result.tokens:
        assert text[token.start : token.end] == token.text
        assert token.start >= ends[-1]
        assert not text[ends[-1] : token.start].strip()
        ends.append(token.end)
    if not result.truncated:
        assert not text[ends[-1] :].strip()
