"""Entities in sequences of tags, and how many of them are found.

As CoNLL-2003 counts: an entity is right if it begins, ends and is called as it should be.
"""

from collections.abc import Sequence

Entity = tuple[str, int, int]  # type, first word, the one behind the last


def entities(tags: Sequence[str]) -> set[Entity]:
    """The entities of a sentence tagged with B-X, I-X and O.

    An I-X that goes on with nothing of its type begins an entity as well.
    """
    found, begun = set(), 0
    types = ["", *(tag.partition("-")[2] for tag in tags), ""]
    for place in range(1, len(types)):
        before, kind = types[place - 1], types[place]
        begins = place <= len(tags) and tags[place - 1].startswith("B-")
        if before and (kind != before or begins):
            found.add((before, begun, place - 1))
        if kind and (kind != before or begins):
            begun = place - 1
    return found


def f1(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> float:
    """The harmonic mean of the share of entities found that are right and of right ones found."""
    pairs = [(entities(a), entities(b)) for a, b in zip(found, wanted, strict=True)]
    right = sum(len(a & b) for a, b in pairs)
    total = sum(len(a) + len(b) for a, b in pairs)
    return 2 * right / total if total else 1.0
