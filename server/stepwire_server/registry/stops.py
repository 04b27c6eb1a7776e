"""Ends a text where a stop appears, and holds back what may be the beginning of one.

One character at a time, so that what comes out does not depend on how the text was cut into
pieces: the stop that is complete first ends the text, and of several the longest.
"""

import unicodedata
from collections.abc import Sequence


class StopMatcher:
    """Looks for several stops at once (Knuth, Morris, Pratt 1977: a few operations a character)."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Takes the stops, none of them empty, in any normal form."""
        self._stops = [unicodedata.normalize("NFC", stop) for stop in stops]
        self._borders = [_borders(stop) for stop in self._stops]
        self._matched = [0] * len(stops)  # characters of each stop that the text ends with
        self._held = ""
        self.stopped = False  # a stop appeared; nothing comes after it

    def save(self) -> tuple[list[int], str]:
        """What it takes to go on, while nothing has stopped."""
        return list(self._matched), self._held

    def restore(self, saved: tuple[list[int], str]) -> None:
        """Goes on where another with the same stops was saved."""
        self._matched, self._held = list(saved[0]), saved[1]

    def push(self, text: str) -> str:
        """Takes text; returns what can no longer be part of a stop."""
        if not self._stops:
            return text
        text = self._held + text
        for end in range(len(self._held), len(text)):
            longest = self._advance(text[end])
            if longest:
                self.stopped, self._held = True, ""
                return text[: end + 1 - longest]
        keep = max(self._matched)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """Returns what was held back; nothing comes any more."""
        held, self._held = self._held, ""
        return held

    def _advance(self, character: str) -> int:
        """Reads one character; returns the length of the longest stop that it completes."""
        longest = 0
        for index, (stop, borders) in enumerate(zip(self._stops, self._borders, strict=True)):
            matched = self._matched[index]
            while matched and stop[matched] != character:
                matched = borders[matched - 1]
            matched += stop[matched] == character
            if matched == len(stop):
                longest = max(longest, matched)
                matched = borders[matched - 1]
            self._matched[index] = matched
        return longest


def _borders(stop: str) -> list[int]:
    """For each prefix, the length of its longest proper prefix that is also its suffix."""
    borders = [0] * len(stop)
    length = 0
    for index in range(1, len(stop)):
        while length and stop[length] != stop[index]:
            length = borders[length - 1]
        length += stop[length] == stop[index]
        borders[index] = length
    return borders
