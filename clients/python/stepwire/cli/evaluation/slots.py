"""How taggers are scored that judge texts as well: intents, slots, and both together."""

from collections.abc import Callable, Sequence

from stepwire.cli.evaluation.labelling import entity_f1
from stepwire.cli.evaluation.requests import Request
from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.cli.evaluation.splits import Tagged
from stepwire.client import Client
from stepwire.tagging import TaggedText


def filling(read: Callable[[], Sequence[Request]], split: str = "test") -> Evaluation:
    """What such a tagger finds of the requests of a split."""
    unit = "slots found and to be found"
    return Evaluation(
        read=read,
        ask=tagged,
        figures=(
            Figure(metric="slot F1", split=split, unit=unit, measure=slot_f1),
            Figure(metric="intent accuracy", split=split, unit="texts", measure=intents),
            Figure(metric="sentence accuracy", split=split, unit="texts", measure=both),
        ),
    )


def tagged(client: Client, model: str, examples: Sequence[Request]) -> list[TaggedText]:
    """What is found in each request; its words are cut by the model's own tokenizer."""
    return client.tag(model, [example.text for example in examples])


def slot_f1(examples: Sequence[Request], answers: Sequence[TaggedText]) -> Measured:
    """The harmonic mean of precision and recall of slots."""
    pairs = zip(examples, answers, strict=True)
    return entity_f1(
        [_wanted(example, answer) for example, answer in pairs],
        [answer.tags for answer in answers],
    )


def intents(examples: Sequence[Request], answers: Sequence[TaggedText]) -> Measured:
    """The share of requests with the right intent."""
    right = [_is_meant(*pair) for pair in zip(examples, answers, strict=True)]
    return Measured.mean(sum(right), len(right))


def both(examples: Sequence[Request], answers: Sequence[TaggedText]) -> Measured:
    """The share of requests with the right intent and every slot right."""
    right = [
        _is_meant(example, answer) and list(answer.tags) == _wanted(example, answer).tags
        for example, answer in zip(examples, answers, strict=True)
    ]
    return Measured.mean(sum(right), len(right))


def _wanted(example: Request, answer: TaggedText) -> Tagged:
    """The words that a request was cut into, with the tags that they should have."""
    starts = [token.start for token in answer.tokens]
    return Tagged([token.text for token in answer.tokens], example.tags(starts))


def _is_meant(example: Request, answer: TaggedText) -> bool:
    return bool(answer.labels) and answer.labels[0].label == example.intent
