"""The figures of a translator, and the weights they are of."""

import pytest
import torch

from stepwire_training import measure
from stepwire_training.data.batches import Pair
from stepwire_training.finished import halve
from stepwire_training.measure import best_penalty, figures, n_best, search_of, signatures, text_of
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator
from stepwire_training.translate import greedy, greedy_bleu

PAIRS = [Pair("", "A dog runs over the green grass."), Pair("", "Two men are sitting there.")]


def test_a_perfect_translation_has_a_hundred_of_everything():
    found = figures([pair.target for pair in PAIRS], PAIRS, "13a", "test")

    assert [metric.value for metric in found] == [100.0, 100.0, 100.0]


def test_case_counts_unless_it_is_said_not_to():
    cased, lower, _ = figures([pair.target.lower() for pair in PAIRS], PAIRS, "13a", "test")

    assert cased.value < 100.0
    assert lower.value == 100.0


def test_signatures_say_how_it_was_counted():
    assert "case:mixed" in signatures("13a")["BLEU"]
    assert "tok:char" in signatures("char")["BLEU, lower-cased"]
    assert all("nrefs:1" in signature for signature in signatures("13a").values())


def test_beam_and_greed_translate_what_was_learned(translator):
    model, held_out = translator.finished().model(), translator.dataset.translations
    sources = [pair.source for pair in held_out.tests["test"]]
    found = n_best(model, sources, held_out, search_of(held_out, 1.0, 2, 64))
    texts = [text_of(hypotheses[0], held_out) for hypotheses in found]

    assert texts == greedy(model, sources, held_out)
    assert texts == [pair.target for pair in held_out.tests["test"]]
    assert all(one.score >= other.score for one, other in found)
    assert greedy_bleu(model, held_out) > 95


def test_the_length_penalty_is_the_best_of_the_dev_split(translator, monkeypatch):
    model, held_out = translator.finished().model(), translator.dataset.translations
    short, right = ("1 2!", -1.0), (held_out.dev[0].target, -1.5)

    def found(text: str, total: float) -> measure.Hypothesis:
        ids = held_out.tokenizer.encode(text).ids
        return measure.Hypothesis([*ids, held_out.end], total, total)

    monkeypatch.setattr(
        measure,
        "n_best",
        lambda model, sources, held_out, wanted: [
            [found(*short), found(pair.target, right[1])] for pair in held_out.dev
        ],
    )
    # Long translations win from the penalty on that outweighs their lower sum.
    assert best_penalty(model, held_out, 64) > 0.4


def test_weights_are_rounded_to_what_half_precision_holds():
    encoder = Encoder.Config(layers=1, hidden=4, embedding=6)
    model = Translator.Config(encoder=encoder, hidden=8).build(9, 0)
    before = model.output.bias.clone()
    halve(model)

    for weight in model.parameters():
        if weight.dim() > 1:
            assert torch.equal(weight, weight.half().float())
    assert torch.equal(model.output.bias, before)
    assert model.output.weight is model.encoder.embedding.weight


@pytest.mark.parametrize("half", [True, False])
def test_only_who_asks_for_half_precision_gets_it(half, translator, generator):
    run = translator if half else generator
    weights = [w for w in run.finished().model().parameters() if w.dim() > 1]

    assert all(torch.equal(w, w.half().float()) for w in weights) == half
