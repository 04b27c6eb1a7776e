"""What is true of each place of a text, by plain rules: inside quotes, a comment, a condition.

A rule says of a place what holds once its character was read, as a cell that has read it could
know. T characters.
"""

import re
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.bool_]  # [T]
Rule = Callable[[str], Marks]

# What a C compiler reads as one piece; what is cut off at the end of a text is one too.
_PIECE = re.compile(
    r"(?P<comment>/\*.*?(?:\*/|\Z)|//[^\n]*)"
    r'|(?P<string>"(?:\\.|[^"\\\n])*(?:"|\n|\Z))'
    r"|'(?:\\.|[^'\\\n])*(?:'|\n|\Z)"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<bracket>[()])"
    r"|(?P<space>\s+)"
    r"|.",
    re.DOTALL,
)


def in_quotes(text: str) -> Marks:
    """Inside the quotation marks of somebody who speaks; a new paragraph begins outside.

    Who speaks for several paragraphs opens the marks in each, and closes them in the last.
    """
    inside, result = False, np.zeros(len(text), np.bool_)
    for place, character in enumerate(text):
        if character == '"':
            inside = not inside
        elif character == "\n" and text[place - 1 : place] == "\n":
            inside = False
        result[place] = inside
    return result


def far_in_line(text: str, characters: int) -> Marks:
    """At least so many characters behind the last line end."""
    since, result = 0, np.zeros(len(text), np.bool_)
    for place, character in enumerate(text):
        since = 0 if character == "\n" else since + 1
        result[place] = since >= characters
    return result


def in_comment(text: str) -> Marks:
    """Inside a comment of C, from the second character of its opening on."""
    result = np.zeros(len(text), np.bool_)
    for piece in _pieces(text):
        if piece["comment"]:
            result[piece.start() + 1 : piece.end() - _closing(piece["comment"])] = True
    return result


def in_string(text: str) -> Marks:
    """Inside a string literal of C."""
    result = np.zeros(len(text), np.bool_)
    for piece in _pieces(text):
        if piece["string"]:
            result[piece.start() : piece.end() - 1] = True
    return result


def in_condition(text: str) -> Marks:
    """Between the brackets of an `if` of C."""
    result = np.zeros(len(text), np.bool_)
    depth, expecting = 0, False
    for piece in _pieces(text):
        if depth == 0 and expecting and piece["bracket"] == "(":
            depth = 1
        elif depth and piece["bracket"]:
            depth += 1 if piece["bracket"] == "(" else -1
        if depth:
            result[piece.start() : piece.end()] = True
        if not piece["space"] and not piece["comment"]:
            expecting = piece["word"] == "if"
    return result


def _pieces(text: str) -> Iterator[re.Match[str]]:
    return _PIECE.finditer(text)


def _closing(comment: str) -> int:
    """How many characters at the end of a comment are outside again once they are read."""
    return 1 if comment.startswith("/*") and comment.endswith("*/") and len(comment) > 3 else 0
