"""Composed text: whatever is found in it is told where it stands in the text as it came."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_server.registry.composing import composed

# Such as compose, reorder, expand, or do none of it.
ODD = st.sampled_from("aeo\u0301\u0323\u0308각가\u1100\u1161\u11a8\u0958\u0344😀 .\u200d")
TEXTS = st.text(ODD, max_size=12) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(TEXTS)
def test_the_text_is_that_of_unicode(text):
    assert composed(text).text == unicodedata.normalize("NFC", text)


@given(TEXTS)
def test_every_cut_falls_between_the_same_characters(text):
    whole = composed(text)
    assert len(whole.places) == len(whole.text) + 1
    assert list(whole.places) == sorted(whole.places)
    assert (whole.places[0], whole.places[-1]) == (0, len(text))


@pytest.mark.parametrize(
    ("text", "part", "stands"),
    [
        ("나는 학생", (3, 5), (3, 5)),
        (unicodedata.normalize("NFD", "나는 학생"), (3, 5), (6, 12)),
        ("cafe\u0301 noir", (0, 4), (0, 5)),
        ("cafe\u0301 noir", (5, 9), (6, 10)),
        ("😀 e\u0301", (2, 3), (2, 4)),
    ],
)
def test_words_stand_where_they_were_written(text, part, stands):
    assert composed(text).spans([part]) == [stands]
