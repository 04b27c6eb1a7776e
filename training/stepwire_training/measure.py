"""The figures of a translator: BLEU and chrF of its test splits, as sacrebleu counts them.

What has no right translation is measured otherwise (see measure_answers).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from stepwire_training import beam
from stepwire_training.beam import Hypothesis, Search
from stepwire_training.data.batches import Pair, Translations
from stepwire_training.data.parallel import encode
from stepwire_training.measure_answers import measure_answers
from stepwire_training.models.encoder_decoder import EncoderDecoder
from stepwire_training.recipe import Publication
from stepwire_training.translate import greedy
from stepwire_zoo.manifest import Metric

WIDTH = 5
PENALTIES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)  # of length, tried on the dev split


class Measured(NamedTuple):
    """What was measured, and how."""

    metrics: tuple[Metric, ...]
    decoding: dict[str, float]  # the options that it was measured with
    signatures: dict[str, str]  # by name of a figure: how sacrebleu counted


def measure(
    model: EncoderDecoder, held_out: Translations, about: Publication, penalty: float | None = None
) -> Measured:
    """Translates the test splits; the dev split chooses the length penalty if nobody has.

    Where many texts would do it says how likely those given are, and nothing is chosen.
    """
    if held_out.free:
        return Measured(measure_answers(model, held_out, about.published), {}, {})
    most = about.limits.max_new_tokens
    penalty = best_penalty(model, held_out, most) if penalty is None else penalty
    metrics: list[Metric] = []
    for name, pairs in held_out.tests.items():
        sources = [pair.source for pair in pairs]
        found = n_best(model, sources, held_out, search_of(held_out, penalty, 1, most))
        by_beam = [text_of(hypotheses[0], held_out) for hypotheses in found]
        metrics += figures(by_beam, pairs, held_out.cut, f"{name}, beam {WIDTH}")
        by_greed = greedy(model, sources, held_out)
        metrics += figures(by_greed, pairs, held_out.cut, f"{name}, greedy")[:1]
    # The lower-cased figure is the one that published ones can be set beside.
    cased, lower, *others = metrics
    return Measured(
        metrics=(cased, replace(lower, published=about.published), *others),
        decoding={"beam_width": WIDTH, "length_penalty": penalty},
        signatures=signatures(held_out.cut),
    )


def counters(cut: str) -> dict[str, BLEU | CHRF]:
    """What is counted, by name."""
    return {
        "BLEU": BLEU(tokenize=cut),
        "BLEU, lower-cased": BLEU(tokenize=cut, lowercase=True),
        "chrF": CHRF(),
    }


def figures(texts: Sequence[str], pairs: Sequence[Pair], cut: str, split: str) -> list[Metric]:
    """Every figure of some translations."""
    references = [[pair.target for pair in pairs]]
    return [
        Metric(
            name=name,
            value=round(counter.corpus_score(list(texts), references).score, 2),
            unit="of 100",
            split=split,
        )
        for name, counter in counters(cut).items()
    ]


def signatures(cut: str) -> dict[str, str]:
    """How sacrebleu counted each figure."""
    result = {}
    for name, counter in counters(cut).items():
        counter.corpus_score(["a"], [["a"]])  # a signature names the number of references
        result[name] = str(counter.get_signature())
    return result


def best_penalty(model: EncoderDecoder, held_out: Translations, most: int) -> float:
    """The length penalty with the highest BLEU on the dev split.

    One search serves all: it goes on until as many hypotheses have finished as the beam is
    wide, so none that could win under any penalty is missing.
    """
    sources = [pair.source for pair in held_out.dev]
    found = n_best(model, sources, held_out, search_of(held_out, 0.0, WIDTH, most))

    def score(penalty: float) -> float:
        wanted = search_of(held_out, penalty, 1, most)
        best = [
            max(hypotheses, key=lambda h: wanted.score(h.total, len(h.tokens)))
            for hypotheses in found
        ]
        texts = [text_of(hypothesis, held_out) for hypothesis in best]
        return figures(texts, held_out.dev, held_out.cut, "dev")[0].value

    return max(PENALTIES, key=score)


def n_best(
    model: EncoderDecoder, sources: Sequence[str], held_out: Translations, wanted: Search
) -> list[list[Hypothesis]]:
    """The best hypotheses of each sentence, best first."""
    return [
        beam.translate(model, ids, wanted) for ids in encode(sources, held_out.source_tokenizer)
    ]


def search_of(held_out: Translations, penalty: float, count: int, most: int) -> Search:
    """The search that figures are made with."""
    return Search(
        begin=held_out.begin,
        end=held_out.end,
        suppressed=held_out.suppressed,
        width=WIDTH,
        count=count,
        length_penalty=penalty,
        max_tokens=most,
    )


def text_of(hypothesis: Hypothesis, held_out: Translations) -> str:
    """The text of a hypothesis."""
    tokens = [token for token in hypothesis.tokens if token != held_out.end]
    return str(held_out.tokenizer.decode(tokens, skip_special_tokens=False))
