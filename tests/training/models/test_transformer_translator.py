"""A transformer that writes about a source against attention written out vector by vector."""

import math
from itertools import pairwise

import pytest
import torch

from stepwire_training.models.transformer import places
from stepwire_training.models.transformer_translator import TransformerTranslator

WINDOW, HEADS, EACH = 3, 2, 2
CONFIG = TransformerTranslator.Config(
    embedding=4,
    encoder_layers=2,
    layers=2,
    heads=HEADS,
    wide=5,
    window=WINDOW,
    embedding_dropout=0.5,
    layer_dropout=0.5,
)
SOURCES = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
LENGTHS = torch.tensor([4, 2])
BEGUN = torch.tensor([[7, 1, 2, 3, 3, 0], [7, 3, 8, 1, 1, 2]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = CONFIG.build(9, 0).eval()
    for part in model.parameters():
        part.data += 0.3 * torch.randn_like(part)
    return model


def heads(vector):
    return vector.view(HEADS, EACH)


def weighed(scores, values):
    shares = torch.stack(scores).softmax(0)
    return sum(share * value for share, value in zip(shares, values, strict=True)), shares


def thought(layer, x):
    return x + layer.narrow(layer.widen(layer.before_thinking(x)).relu())


def read_plainly(model, source):
    """The source's tokens behind the encoder, each by itself."""
    table = places(len(source), 4)
    x = [2.0 * model.embedding.weight[t] + table[n] for n, t in enumerate(source)]
    for layer in model.reading():
        asked = [layer.asks(layer.before_looking(e)).view(3, HEADS, EACH) for e in x]
        for n, (query, _, _) in enumerate(asked):
            found = [
                weighed(
                    [query[h] @ key[h] / math.sqrt(EACH) for _, key, _ in asked],
                    [value[h] for _, _, value in asked],
                )[0]
                for h in range(HEADS)
            ]
            x[n] = thought(layer, x[n] + layer.told(torch.cat(found)))
    return [model.read_last(e) for e in x]


def looked_back(layer, asked, t):
    found = []
    for h in range(HEADS):
        window = range(max(0, t - WINDOW + 1), t + 1)
        scores = []
        for u in window:
            place = WINDOW - 1 - (t - u)
            key = asked[u][1, h] + layer.places[h, place]
            scores.append(asked[t][0, h] @ key / math.sqrt(EACH) + layer.lean[h, place])
        found.append(weighed(scores, [asked[u][2, h] for u in window])[0])
    return torch.cat(found)


def asked_about(layer, x, source):
    query = heads(layer.asks_source(layer.before_asking(x)))
    keys, values = zip(*(layer.of_source(e).view(2, HEADS, EACH) for e in source), strict=True)
    told = [
        weighed([query[h] @ k[h] / math.sqrt(EACH) for k in keys], [v[h] for v in values])
        for h in range(HEADS)
    ]
    mean = torch.stack([shares for _, shares in told]).mean(0)
    return layer.told_source(torch.cat([found for found, _ in told])), mean


def written_plainly(model, source, begun):
    """Logits [T, V] and attention [T, S] of one pair."""
    known = read_plainly(model, source)
    x = [2.0 * model.embedding.weight[token] for token in begun]
    for layer in model.writing():
        asked = [layer.asks(layer.before_looking(e)).view(3, HEADS, EACH) for e in x]
        x = [e + layer.told(looked_back(layer, asked, t)) for t, e in enumerate(x)]
        found = [asked_about(layer, e, known) for e in x]
        x = [thought(layer, e + more) for e, (more, _) in zip(x, found, strict=True)]
    return torch.stack([model.output(model.last(e)) for e in x]), torch.stack(
        [attention for _, attention in found]
    )


@pytest.mark.parametrize("row", [0, 1])
def test_it_computes_what_is_written_down_whatever_pads_the_source(model, row):
    read = model.read(SOURCES, LENGTHS)
    logits, attention, _ = model.write(BEGUN, read, model.begin(read))
    source = SOURCES[row, : LENGTHS[row]]
    wanted, weights = written_plainly(model, source.tolist(), BEGUN[row].tolist())

    torch.testing.assert_close(logits[row], wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(attention[row, :, : len(source)], weights, atol=1e-5, rtol=1e-5)
    assert not attention[row, :, len(source) :].any()


@pytest.mark.parametrize("cuts", [[1, 2], [4], list(range(1, 6))])
def test_chunks_equal_the_whole(model, cuts):
    read = model.read(SOURCES, LENGTHS)
    whole, _, last = model.write(BEGUN, read, model.begin(read))
    state, pieces = model.begin(read), []
    for begin, end in pairwise([0, *cuts, 6]):
        logits, _, state = model.write(BEGUN[:, begin:end], read, state)
        pieces.append(logits)

    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    for got, wanted in zip(state, last, strict=True):
        torch.testing.assert_close(got, wanted)


def test_what_has_left_every_window_is_forgotten_and_the_source_is_not(model):
    read = model.read(SOURCES[:1], LENGTHS[:1])
    begun = torch.tensor([[7, 1, 2, 3, 3, 0]])
    other = torch.tensor([[8, 1, 2, 3, 3, 0]])
    one, two = (model.write(x, read, model.begin(read))[0][:, -1] for x in (begun, other))
    elsewhere = model.read(SOURCES[1:], LENGTHS[1:])
    third = model.write(begun, elsewhere, model.begin(elsewhere))[0][:, -1]

    torch.testing.assert_close(one, two)  # two layers reach back over 2 x 2 tokens
    assert not torch.allclose(one, third)


def test_both_sides_and_the_scores_share_one_table(model):
    assert model.output.weight is model.embedding.weight
    with pytest.raises(ValueError, match="no vocabulary of their own, got 31"):
        CONFIG.build(9, 0, sources=31)
