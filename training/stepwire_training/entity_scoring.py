"""Entities in sequences of tags, and how many of them are found.

As CoNLL-2003 counts: an entity is right if it begins, ends and is called as it should be.
"""

from collections import Counter
from collections.abc import Sequence

Tags = Sequence[Sequence[str]]  # of sentences
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


def f1(found: Tags, wanted: Tags) -> float:
    """The harmonic mean of the share of entities found that are right and of right ones found."""
    pairs = [(entities(a), entities(b)) for a, b in zip(found, wanted, strict=True)]
    right = sum(len(a & b) for a, b in pairs)
    return _harmonic(right, sum(len(a) + len(b) for a, b in pairs))


def mean_f1(found: Tags, wanted: Tags) -> float:
    """The same for each type alone, and their mean: rare types count as much as common ones."""
    right, total = Counter[str](), Counter[str]()
    for a, b in zip(map(entities, found), map(entities, wanted), strict=True):
        right.update(kind for kind, _, _ in a & b)
        total.update(kind for kind, _, _ in [*a, *b])
    return _mean([_harmonic(right[kind], total[kind]) for kind in total])


def mean_tag_f1(found: Tags, wanted: Tags) -> float:
    """The same for each tag, O with them, place by place, and their mean."""
    right, total = Counter[str](), Counter[str]()
    for a, b in zip(found, wanted, strict=True):
        right.update(tag for tag, other in zip(a, b, strict=True) if tag == other)
        total.update([*a, *b])
    return _mean([_harmonic(right[tag], total[tag]) for tag in total])


def _harmonic(right: int, total: int) -> float:
    return 2 * right / total if total else 1.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0
