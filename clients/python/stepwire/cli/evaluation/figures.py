"""How served models are scored: for each bundle its split, the calls, and what is counted.

Another task is another function from a batch of examples to a `Tally`; another bundle is
another line of EVALUATIONS.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from stepwire.cli.evaluation.splits import Labelled, Tagged, btc, ewt, kaist, nsmc
from stepwire.client import Client


class Tally(NamedTuple):
    """What is summed up over a split; the figure is the one over the other."""

    total: float = 0.0  # of hits, or nats
    counted: int = 0  # texts, or words

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(self.total + other.total, self.counted + other.counted)

    @property
    def figure(self) -> float:
        """What a card tells."""
        return self.total / self.counted


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How one figure of one bundle comes about."""

    metric: str  # its name in the card
    split: str  # and its split
    unit: str  # what is counted
    read: Callable[[], Sequence[Any]]  # the examples of the split
    tally: Callable[[Client, str, Sequence[Any]], Tally]  # of examples that make one call


def labels(client: Client, model: str, examples: Sequence[Labelled]) -> Tally:
    """How many texts get their label."""
    found = client.classify(model, [example.text for example in examples], top_k=1)
    hits = [one.label == it.label for one, it in zip(found, examples, strict=True)]
    return Tally(sum(hits), len(hits))


def tags(client: Client, model: str, examples: Sequence[Tagged]) -> Tally:
    """How many words get their tag."""
    found = client.tag(model, [example.words for example in examples])
    hits = [
        token.tag == tag
        for one, it in zip(found, examples, strict=True)
        for token, tag in zip(one.tokens, it.tags, strict=True)
    ]
    return Tally(sum(hits), len(hits))


def names(client: Client, model: str, examples: Sequence[Tagged]) -> Tally:
    """How many names are found: the figure is the harmonic mean of precision and recall."""
    found = client.tag(model, [example.words for example in examples])
    pairs = [(entities(a.tags), entities(b.tags)) for a, b in zip(found, examples, strict=True)]
    right = sum(len(a & b) for a, b in pairs)
    return Tally(2 * right, sum(len(a) + len(b) for a, b in pairs))


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The names of a sentence tagged with B-X, I-X and O: type, first word, the one behind."""
    found: list[tuple[str, int, int]] = []
    for place, tag in enumerate(tags):
        kind = tag.partition("-")[2]
        goes_on = found and found[-1][0] == kind and found[-1][2] == place
        if kind and goes_on and not tag.startswith("B-"):
            found[-1] = (kind, found[-1][1], place + 1)
        elif kind:
            found.append((kind, place, place + 1))
    return set(found)


_REVIEWS = Evaluation(metric="accuracy", split="test", unit="texts", read=nsmc, tally=labels)

EVALUATIONS: dict[str, Evaluation] = {
    "nsmc-bilstm": _REVIEWS,
    "nsmc-lstm-stream": _REVIEWS,
    "ner-en": Evaluation(
        metric="entity F1", split="test", unit="names found and to be found", read=btc, tally=names
    ),
    "pos-en": Evaluation(metric="accuracy", split="test", unit="words", read=ewt, tally=tags),
    "pos-ko": Evaluation(metric="accuracy", split="test", unit="words", read=kaist, tally=tags),
}
