"""How translators are scored: BLEU and chrF, as sacrebleu counts them."""

from collections.abc import Callable, Sequence
from typing import Any

from stepwire.cli.evaluation.pairs import Pair
from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.cli.lines import InputError
from stepwire.client import Client
from stepwire.messages import DecodingOptions

CASED, LOWER_CASED, CHARACTERS = "BLEU", "BLEU, lower-cased", "chrF"
TOLERANCE = 0.1  # of 100
# Each step of a search is as many rows as the beam is wide.
SENTENCES_PER_CALL = 32
# As long as the greedy translations of a training run may be.
GREEDY = DecodingOptions(beam_width=1, max_tokens=100)


def translating(
    read: Callable[[], Sequence[Pair]], split: str, cut: str = "13a"
) -> tuple[Evaluation, Evaluation]:
    """A translator's figures by its own search, and greedily.

    Args:
        read: the sentences.
        split: what the card calls them.
        cut: how sacrebleu cuts translations into words.
    """

    def checked() -> Sequence[Pair]:
        _counters(cut)  # what is missing is said before anything is translated
        return read()

    def figures(how: str, *names: str) -> tuple[Figure, ...]:
        return tuple(_figure(name, f"{split}, {how}", cut) for name in names)

    by_search = Evaluation(
        read=checked,
        ask=searched,
        figures=figures("beam 5", CASED, LOWER_CASED, CHARACTERS),
        per_call=SENTENCES_PER_CALL,
    )
    greedily = Evaluation(read=checked, ask=likeliest, figures=figures("greedy", CASED))
    return by_search, greedily


def searched(client: Client, model: str, examples: Sequence[Pair]) -> list[str]:
    """Translations as the model gives them to who asks for nothing else: by its search."""
    return [it.text for it in client.translate(model, [pair.source for pair in examples])]


def likeliest(client: Client, model: str, examples: Sequence[Pair]) -> list[str]:
    """Translations that choose the likeliest token at every step."""
    sources = [pair.source for pair in examples]
    return [it.text for it in client.translate(model, sources, options=GREEDY)]


def _figure(name: str, split: str, cut: str) -> Figure:
    def measure(examples: Sequence[Pair], answers: Sequence[str]) -> Measured:
        references = [[pair.target for pair in examples]]
        score = _counters(cut)[name].corpus_score(list(answers), references).score
        return Measured(score, len(answers))

    return Figure(metric=name, split=split, unit="sentences", measure=measure, tolerance=TOLERANCE)


def _counters(cut: str) -> dict[str, Any]:
    """What counts each figure.

    Raises:
        InputError: sacrebleu is not installed.
    """
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise InputError(
            "figures of translators need sacrebleu: pip install 'stepwire[evaluation]'"
        ) from None
    return {
        CASED: BLEU(tokenize=cut),
        LOWER_CASED: BLEU(tokenize=cut, lowercase=True),
        CHARACTERS: CHRF(),
    }
