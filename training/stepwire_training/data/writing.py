"""What characters are made of, so that rare ones are known by their parts.

Hangul syllables are taken apart into their consonants and vowels; every character has its
Unicode category (upper case, digit, punctuation, ...). V characters, P parts.
"""

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor

SYLLABLES = range(0xAC00, 0xD7A4)  # of Hangul, in the order of their parts
INITIALS, VOWELS, FINALS = 19, 21, 28
CATEGORIES = (
    *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe"),
    *("Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"),
)
PARTS = INITIALS + VOWELS + FINALS + len(CATEGORIES)


def parts(character: str) -> list[int]:
    """The numbers of its parts, each in [0, PARTS)."""
    category = CATEGORIES.index(unicodedata.category(character))
    result = [INITIALS + VOWELS + FINALS + category]
    if ord(character) in SYLLABLES:
        beginning, final = divmod(ord(character) - SYLLABLES.start, FINALS)
        initial, vowel = divmod(beginning, VOWELS)
        result += [initial, INITIALS + vowel, INITIALS + VOWELS + final]
    return result


def made_of(characters: Sequence[str]) -> Tensor:
    """Which parts each character has, float32 [V, P]; what is no single character has none."""
    result = torch.zeros(len(characters), PARTS)
    for row, character in zip(result, characters, strict=True):
        if len(character) == 1:
            row[parts(character)] = 1.0
    return result
