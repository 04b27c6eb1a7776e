"""Composed text, and where each of its characters stands in the text as it came.

Letters with accents and Hangul syllables may be written as one code point or as several.
Words are found in composed text (NFC); callers are told of places in their own.
"""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple


class Composed(NamedTuple):
    """A text in NFC."""

    text: str
    places: list[int] | range  # of each of its characters in the other, and of the end

    def spans(self, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Where parts of the composed text stand in the other; what stands nowhere is left out."""
        found = [(self.places[first], self.places[last]) for first, last in spans]
        return [(first, last) for first, last in found if first < last]


def composed(text: str) -> Composed:
    """Composes a text."""
    if unicodedata.is_normalized("NFC", text):
        return Composed(text, range(len(text) + 1))
    parts, places, at = [], [0], 0
    for part in _independent(text):
        whole = unicodedata.normalize("NFC", part)
        parts.append(whole)
        # What cannot be told apart belongs to the last character of its part.
        inner = [at + min(place, len(part)) for place in range(1, len(whole))]
        at += len(part)
        places += [*inner, at]
    return Composed("".join(parts), places)


def _independent(text: str) -> Iterator[str]:
    """Parts that compose each by itself: a base character and whatever composes with it."""
    begun = ""
    for character in text:
        if begun and _begins_anew(begun, character):
            yield begun
            begun = ""
        begun += character
    yield begun


def _begins_anew(begun: str, character: str) -> bool:
    if character.isascii():
        return True
    if unicodedata.combining(character):
        return False
    together = unicodedata.normalize("NFC", begun + character)
    apart = (unicodedata.normalize("NFC", part) for part in (begun, character))
    return together == "".join(apart)
