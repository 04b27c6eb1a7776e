"""Shows in a terminal what a classifier looked at: the more a word got, the stronger its shade."""

import os
import sys
from collections.abc import Sequence

from stepwire.messages import AttendedToken

# Backgrounds of words that got 1, 2 and 4 times their fair share, of the 256 colours that
# terminals have; on all of them black letters can be read.
_SHADES = ((4.0, 208), (2.0, 215), (1.0, 223))


def has_colours() -> bool:
    """Whether results go to a terminal whose user has nothing against colours."""
    # https://no-color.org
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def shaded(text: str, tokens: Sequence[AttendedToken]) -> str:
    """A text in one line, its words on a background by their weights.

    Args:
        text: that was read.
        tokens: of it, in the order of the text.
    """
    parts, at = [], 0
    for token in tokens:
        start, end = max(at, token.start), max(at, token.end)
        parts += [text[at:start], _on_shade(text[start:end], token.weight * len(tokens))]
        at = end
    return " ".join("".join([*parts, text[at:]]).split())


def _on_shade(word: str, shares: float) -> str:
    """A word that got so many times its fair share."""
    shade = next((code for least, code in _SHADES if shares >= least), None)
    return word if shade is None or not word else f"\x1b[30;48;5;{shade}m{word}\x1b[0m"
