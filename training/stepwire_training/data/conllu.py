"""Reads treebanks in CoNLL-U: a word a line, a blank line behind a sentence."""

from itertools import accumulate
from typing import NamedTuple

FORM, UPOS, MISC = 1, 3, 9  # fields of a line


class Sentence(NamedTuple):
    """A sentence with a tag for every word."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    spaced: tuple[bool, ...]  # whether a space stands behind each word
    label: str = ""  # of the sentence as a whole, where it has one

    @property
    def text(self) -> str:
        """As it was written."""
        parts = zip(self.words, self.spaced, strict=True)
        return "".join(word + " " * space for word, space in parts).rstrip()

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each word begins and ends in the text."""
        ends = accumulate(
            len(word) + space for word, space in zip(self.words, self.spaced, strict=True)
        )
        starts = [0, *ends]
        return [(at, at + len(word)) for at, word in zip(starts, self.words, strict=False)]


def parse(content: str) -> list[Sentence]:
    """The sentences of a file."""
    blocks = content.replace("\r\n", "\n").split("\n\n")
    sentences = [_sentence(block.split("\n")) for block in blocks]
    return [sentence for sentence in sentences if sentence.words]


def _sentence(lines: list[str]) -> Sentence:
    """The words of a block.

    A line with the id `8-9` spans two words that have lines of their own, written as one, as
    "don't" is; `8.1` is an empty node, which nobody wrote.
    """
    fields = [line.split("\t") for line in lines if line and line[0] != "#"]
    words = [line for line in fields if line[0].isdigit()]
    spaced = {line[0]: _spaced(line) for line in words}
    for line in fields:
        if "-" in line[0]:
            first, last = map(int, line[0].split("-"))
            spaced |= {str(number): False for number in range(first, last)}
            spaced[str(last)] = _spaced(line)
    return Sentence(
        tuple(line[FORM] for line in words),
        tuple(line[UPOS] for line in words),
        tuple(spaced[line[0]] for line in words),
    )


def _spaced(fields: list[str]) -> bool:
    return len(fields) <= MISC or "SpaceAfter=No" not in fields[MISC]
