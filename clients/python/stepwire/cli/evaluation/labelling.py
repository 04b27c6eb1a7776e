"""How classifiers and taggers are scored."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.cli.evaluation.splits import Labelled, Tagged
from stepwire.client import Client

LEAST = 1e-45  # of probabilities: what float32 cannot tell from nothing

Scores = Mapping[str, float]  # the probability of each label


def labelling(read: Callable[[], Sequence[Labelled]], split: str = "test") -> Evaluation:
    """A classifier's accuracy and loss on a split."""
    return Evaluation(
        read=read,
        ask=labels,
        figures=(
            Figure(metric="accuracy", split=split, unit="texts", measure=hits),
            Figure(metric="loss", split=split, unit="texts", measure=nats),
        ),
    )


def rarely_labelling(read: Callable[[], Sequence[Labelled]], split: str = "test") -> Evaluation:
    """The same of a classifier with many labels, some of them rare."""
    evaluation = labelling(read, split)
    rare = Figure(metric="macro F1", split=split, unit="texts", measure=macro_f1)
    return replace(evaluation, figures=(*evaluation.figures, rare))


def tagging(read: Callable[[], Sequence[Tagged]], split: str = "test") -> Evaluation:
    """A tagger's accuracy on a split."""
    figure = Figure(metric="accuracy", split=split, unit="words", measure=tag_hits)
    return Evaluation(read=read, ask=tags, figures=(figure,))


def naming(read: Callable[[], Sequence[Tagged]], split: str = "test") -> Evaluation:
    """How well a tagger finds the names of a split."""
    unit = "names found and to be found"
    figure = Figure(metric="entity F1", split=split, unit=unit, measure=entity_f1)
    return Evaluation(read=read, ask=tags, figures=(figure,))


def naming_characters(read: Callable[[], Sequence[Tagged]], split: str = "test") -> Evaluation:
    """The same where characters are tagged, also as KLUE counts: by the mean of types, or tags."""
    evaluation, unit = naming(read, split), "characters"
    more = (
        replace(evaluation.figures[0], metric="entity F1, mean of types", measure=entity_mean_f1),
        Figure(metric="character F1, mean of tags", split=split, unit=unit, measure=tag_mean_f1),
        Figure(metric="accuracy", split=split, unit=unit, measure=tag_hits),
    )
    return replace(evaluation, figures=(*evaluation.figures, *more))


def labels(client: Client, model: str, examples: Sequence[Labelled]) -> list[Scores]:
    """What each text is found to be."""
    found = client.classify(model, [example.text for example in examples])
    return [{it.label: it.score for it in one.labels} for one in found]


def tags(client: Client, model: str, examples: Sequence[Tagged]) -> list[tuple[str, ...]]:
    """What the words of each sentence are found to be."""
    return [one.tags for one in client.tag(model, [example.words for example in examples])]


def hits(examples: Sequence[Labelled], answers: Sequence[Scores]) -> Measured:
    """The share of texts that get their label."""
    pairs = zip(examples, answers, strict=True)
    right = [max(scores, key=scores.__getitem__) == example.label for example, scores in pairs]
    return Measured.mean(sum(right), len(right))


def macro_f1(examples: Sequence[Labelled], answers: Sequence[Scores]) -> Measured:
    """The mean over the labels of the harmonic mean of precision and recall."""
    found = Counter(max(scores, key=scores.__getitem__) for scores in answers)
    there = Counter(example.label for example in examples)
    right = Counter(
        example.label
        for example, scores in zip(examples, answers, strict=True)
        if max(scores, key=scores.__getitem__) == example.label
    )
    each = [2 * right[label] / (found[label] + there[label]) for label in found | there]
    return Measured(Measured.mean(math.fsum(each), len(each)).value, len(examples))


def nats(examples: Sequence[Labelled], answers: Sequence[Scores]) -> Measured:
    """What the label of a text costs."""
    pairs = zip(examples, answers, strict=True)
    costs = [-math.log(max(scores[example.label], LEAST)) for example, scores in pairs]
    return Measured.mean(math.fsum(costs), len(costs))


def tag_hits(examples: Sequence[Tagged], answers: Sequence[Sequence[str]]) -> Measured:
    """The share of words that get their tag."""
    right = [
        found == wanted
        for example, answer in zip(examples, answers, strict=True)
        for found, wanted in zip(answer, example.tags, strict=True)
    ]
    return Measured.mean(sum(right), len(right))


def entity_f1(examples: Sequence[Tagged], answers: Sequence[Sequence[str]]) -> Measured:
    """The harmonic mean of precision and recall of names."""
    pairs = [
        (entities(answer), entities(example.tags))
        for example, answer in zip(examples, answers, strict=True)
    ]
    right = sum(len(a & b) for a, b in pairs)
    return Measured.mean(2 * right, sum(len(a) + len(b) for a, b in pairs))


def entity_mean_f1(examples: Sequence[Tagged], answers: Sequence[Sequence[str]]) -> Measured:
    """The same for each type of names, and their mean."""
    right, total = Counter[str](), Counter[str]()
    for example, answer in zip(examples, answers, strict=True):
        found, wanted = entities(answer), entities(example.tags)
        right.update(kind for kind, _, _ in found & wanted)
        total.update(kind for kind, _, _ in [*found, *wanted])
    return _mean_f1(right, total)


def tag_mean_f1(examples: Sequence[Tagged], answers: Sequence[Sequence[str]]) -> Measured:
    """The same for each tag by itself, place by place, and their mean."""
    right, total = Counter[str](), Counter[str]()
    for example, answer in zip(examples, answers, strict=True):
        pairs = zip(answer, example.tags, strict=True)
        right.update(found for found, wanted in pairs if found == wanted)
        total.update([*answer, *example.tags])
    return _mean_f1(right, total)


def _mean_f1(right: Counter[str], total: Counter[str]) -> Measured:
    """The mean of what each kind reaches, of so many that are right, found and wanted."""
    each = [2 * right[kind] / count for kind, count in total.items()]
    return Measured(Measured.mean(math.fsum(each), len(each)).value, total.total())


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
