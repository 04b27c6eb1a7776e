"""Perplexities of answers against sums written out token by token."""

import math

import pytest
import torch

from stepwire_training.data.parallel import encode
from stepwire_training.measure import measure
from stepwire_training.models.transformer_translator import TransformerTranslator
from stepwire_training.recipes import RECIPES, tiny


@pytest.fixture(scope="module")
def data():
    return RECIPES["tiny-answerer"]().data.load()


@pytest.fixture(scope="module")
def model(data):
    config = TransformerTranslator.Config(
        embedding=8, encoder_layers=1, layers=1, heads=2, wide=8, window=3
    )
    return config.build(*data.sizes).eval()


def nats_of(model, held_out, pair):
    """What each token of one answer costs, its end with them."""
    (source,), (target,) = (encode([text], held_out.tokenizer) for text in pair)
    tokens = [held_out.begin, *target, held_out.end]
    lengths = torch.tensor([len(source)])
    with torch.inference_mode():
        logits, _ = model(torch.from_numpy(source)[None], lengths, torch.tensor([tokens[:-1]]), ())
    shares = logits[0].log_softmax(dim=1)
    return [-shares[place, token].item() for place, token in enumerate(tokens[1:])]


def test_perplexity_is_told_by_tokens_and_by_characters(data, model):
    held_out = data.translations
    found = measure(model, held_out, tiny.PUBLICATION)
    pairs = held_out.tests["test"]
    nats = [nats_of(model, held_out, pair) for pair in pairs]
    total, tokens = sum(map(sum, nats)), sum(map(len, nats))
    characters = sum(len(pair.target) + 1 for pair in pairs)

    assert [(metric.name, metric.unit, metric.split) for metric in found.metrics] == [
        ("perplexity", "per token", "test"),
        ("perplexity by characters", "per character", "test"),
    ]
    by_token, by_character = (metric.value for metric in found.metrics)
    assert by_token == pytest.approx(math.exp(total / tokens), rel=1e-4)
    assert by_character == pytest.approx(math.exp(total / characters), rel=1e-4)


def test_nothing_is_chosen_where_no_text_is_the_right_one(data, model):
    found = measure(model, data.translations, tiny.PUBLICATION)

    assert (found.decoding, found.signatures) == ({}, {})
