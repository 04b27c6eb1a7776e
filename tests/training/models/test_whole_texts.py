"""Classifiers of whole texts, each against a plain reading of what it is said to do."""

import numpy as np
import pytest
import torch
from torch import nn

from stepwire_training.data.batches import LabelledTexts
from stepwire_training.data.counted import count
from stepwire_training.models.convolution import Convolution
from stepwire_training.models.naive_bayes import NaiveBayes
from stepwire_training.models.normalised_lstm import NormalisedLayer, NormalisedLstm
from stepwire_training.models.one_way import OneWay
from stepwire_training.models.transformer import Transformer, places

KINDS = {
    "convolution": Convolution.Config(embedding=6, widths=(1, 3), filters=5),
    "naive bayes": NaiveBayes.Config(),
    "normalised lstm": NormalisedLstm.Config(embedding=6, hidden=8),
    "one way": OneWay.Config(cell="lstm", embedding=6, hidden=8),
    "transformer": Transformer.Config(embedding=6, layers=2, heads=3, wide=7),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_padded_text_is_judged_as_it_is_alone(kind):
    model = KINDS[kind].build(vocabulary=9, labels=2).eval()
    for part in model.parameters():
        part.data += 0.3 * torch.randn_like(part)
    tokens, lengths = torch.randint(9, (4, 7)), torch.tensor([7, 1, 4, 6])
    together, _ = model(tokens, lengths, ())

    for row, length in enumerate(lengths):
        alone, _ = model(tokens[row : row + 1, :length], length[None], ())
        torch.testing.assert_close(together[row], alone[0])


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"naive bayes"}))
def test_every_weight_learns(kind):
    model = KINDS[kind].build(vocabulary=3, labels=2)
    logits, _ = model(torch.tensor([[0, 1, 2], [2, 1, 0]]), torch.tensor([3, 2]), ())
    model.loss(logits, torch.tensor([0, 1])).backward()

    still = [name for name, part in model.named_parameters() if not part.grad.any()]
    assert still == []


@pytest.mark.parametrize("kind", ["convolution", "naive bayes"])
def test_who_only_looks_for_what_is_there_does_not_mind_where(kind):
    config = Convolution.Config(embedding=6, widths=(1,), filters=5)
    model = (config if kind == "convolution" else KINDS[kind]).build(vocabulary=9, labels=2).eval()
    text = torch.tensor([[3, 1, 4, 1, 5]])

    there, back = (model(row, torch.tensor([5]), ())[0] for row in (text, text.flip(1)))
    torch.testing.assert_close(there, back)


def test_a_filter_answers_to_its_window_wherever_it_stands():
    model = Convolution.Config(embedding=2, widths=(2,), filters=1).build(vocabulary=3, labels=2)
    model.embedding.weight.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    (filters,) = model.convolutions()
    filters.weight.data = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # a 1 and a 2 behind it
    filters.bias.data.zero_()

    def found(*tokens):
        x = model.embedding(torch.tensor([tokens]))
        return model.read(x, torch.tensor([len(tokens)])).item()

    assert found(0, 1, 2, 0) == found(1, 2) == 2.0
    assert found(2, 1) == 1.0  # a half of it, at the end


def test_a_normalised_layer_is_an_lstm_with_three_norms():
    torch.manual_seed(0)
    layer = NormalisedLayer(inputs=3, hidden=4)
    for part in layer.parameters():
        part.data += 0.3 * torch.randn_like(part)
    x = torch.randn(2, 5, 3)

    h = c = torch.zeros(2, 4)
    wanted = []
    for position in range(5):
        gates = layer.of_input(x[:, position] @ layer.weight_ih.T)
        gates = gates + layer.of_state(h @ layer.weight_hh.T)
        admit, keep, show, candidate = gates.chunk(4, dim=1)
        c = keep.sigmoid() * c + admit.sigmoid() * candidate.tanh()
        h = show.sigmoid() * layer.of_memory(c).tanh()
        wanted.append(h)
    states, _ = layer(x, layer.start(2))
    torch.testing.assert_close(states, torch.stack(wanted, dim=1))


def test_a_transformer_is_pytorchs_encoder():
    torch.manual_seed(0)
    model = Transformer.Config(embedding=6, layers=2, heads=3, wide=7).build(9, 2).eval()
    lengths = torch.tensor([5, 2])
    x = torch.randn(2, 5, 6)
    y = x * 6**0.5 + places(5, 6)
    for layer in model.parts():
        theirs = nn.TransformerEncoderLayer(
            6, 3, 7, dropout=0.0, batch_first=True, norm_first=True
        ).eval()
        theirs.self_attn.in_proj_weight = layer.asks.weight
        theirs.self_attn.in_proj_bias = layer.asks.bias
        theirs.self_attn.out_proj = layer.told
        theirs.linear1, theirs.linear2 = layer.widen, layer.narrow
        theirs.norm1, theirs.norm2 = layer.before_looking, layer.before_thinking
        unseen = torch.arange(5) >= lengths[:, None]
        y = theirs(y, src_key_padding_mask=unseen)
    y = model.last(y)
    wanted = torch.stack([y[0].mean(dim=0), y[1, :2].mean(dim=0)])

    torch.testing.assert_close(model.read(x, lengths), wanted, rtol=1e-4, atol=1e-5)


def test_naive_bayes_says_what_the_counts_say():
    texts = [np.array(text) for text in ([0, 0, 1], [1], [2, 2], [2, 1, 2])]
    labels = np.array([0, 0, 1, 1])
    model = NaiveBayes.Config(smoothing=0.5).build(vocabulary=4, labels=2)
    model.begin_from(count(LabelledTexts(texts, labels, rows=2, seed=1), 4))

    # By hand: of 4 tokens of label 0 two are 0 and two are 1; of 5 of label 1 one is 1.
    chances = torch.tensor([[2.5, 0.5], [2.5, 1.5], [0.5, 4.5], [0.5, 0.5]])
    chances = chances / chances.sum(dim=0)
    logits, _ = model(torch.tensor([[1, 2, 0]]), torch.tensor([2]), ())
    wanted = chances[1] * chances[2] * 0.5
    torch.testing.assert_close(logits[0].softmax(dim=0), wanted / wanted.sum())


def test_places_differ_and_turn_at_their_own_rates():
    told = places(positions=50, size=8)

    assert len(torch.unique(told, dim=0)) == 50
    torch.testing.assert_close(told[7, 0], torch.tensor(7.0).sin())
    torch.testing.assert_close(told[7, 4], torch.tensor(7.0).cos())
