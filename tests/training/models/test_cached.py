"""A cache against one that is written out word by word."""

import pytest
import torch

from stepwire_training.data.batches import TextStream
from stepwire_training.evaluate import evaluate
from stepwire_training.models.cached import CachedLanguageModel
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.prove_steps import prove_steps

WORDS, WINDOW = 30, 4


@pytest.fixture(name="model")
def _model():
    torch.manual_seed(1)
    inner = LanguageModel.Config(cell="lstm", layers=2, hidden=32, embedding=32, cuts=(8, 16))
    config = CachedLanguageModel.Config(model=inner, window=WINDOW, directions=3)
    model = config.build(WORDS, 0).eval()
    model.directions.normal_()
    model.sharpness.fill_(0.7)
    model.share.fill_(0.2)
    return model


def by_hand(model, tokens):
    """Probabilities after each of some tokens, a dictionary of shares at a time."""
    x, _ = model.model.read(tokens[None], model.model.start(1))
    plain = model.model.scores(x)[0].exp()
    keys = (x @ model.directions)[0]
    for place in range(len(tokens)):
        pairs = [(keys[i], tokens[i + 1]) for i in range(max(0, place - WINDOW), place)]
        if not pairs:
            yield plain[place]
            continue
        weights = torch.stack([model.sharpness * key @ keys[place] for key, _ in pairs]).softmax(0)
        mixed = (1 - model.share) * plain[place]
        for weight, (_, word) in zip(weights, pairs, strict=True):
            mixed[word] += model.share * weight
        yield mixed


@torch.inference_mode()
def test_words_that_came_where_the_same_was_said_become_likelier(model):
    tokens = torch.randint(WORDS, (12,))
    found, _ = model(tokens[None], model.start(1))

    assert torch.allclose(found[0].exp(), torch.stack(list(by_hand(model, tokens))), atol=1e-6)
    assert torch.allclose(found.exp().sum(dim=-1), torch.ones(1, 12))


@torch.inference_mode()
def test_chunks_equal_the_whole(model):
    tokens = torch.randint(WORDS, (3, 11))
    whole, _ = model(tokens, model.start(3))
    state, parts = model.start(3), []
    for part in tokens.split([5, 1, 5], dim=1):
        scores, state = model(part, state)
        parts.append(scores)

    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)


def test_its_graph_says_the_same_whoever_stands_beside_a_row(model):
    tokens = torch.randint(WORDS, (4, 12)).numpy()

    assert prove_steps(model, tokens).difference < 1e-5


def test_until_it_is_settled_the_model_alone_answers(model):
    tokens = torch.randint(WORDS, (2, 9))
    model.share.fill_(0.0)
    alone, _ = model.model(tokens, model.model.start(2))

    assert torch.equal(model(tokens, model.start(2))[0], alone)


def test_a_text_that_repeats_itself_settles_on_listening_to_it(model):
    text = torch.randint(WORDS, (2, 3)).repeat(1, 30).flatten().numpy()
    model.share.fill_(0.0)
    batches = TextStream(text, 2, 9)
    before = evaluate(model, batches).loss
    model.settle(batches)

    assert model.share > 0
    assert evaluate(model, batches).loss < before - 0.1


def test_a_model_whose_scores_are_no_logarithms_is_refused():
    inner = LanguageModel.Config(cell="lstm", layers=1, hidden=4, embedding=4)
    config = CachedLanguageModel.Config(model=inner, window=2, directions=2)
    with pytest.raises(ValueError, match="cuts"):
        config.build(9, 0)
