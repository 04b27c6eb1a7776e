from dataclasses import replace

import pytest
import torch

from stepwire_training.models.language_model import LanguageModel


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "ln-lstm"])
def test_chunks_equal_the_whole(cell):
    model = LanguageModel.Config(cell=cell, layers=2, hidden=6, embedding=5).build(9, 0).eval()
    tokens = torch.randint(9, (3, 8))
    whole, _ = model(tokens, model.start(3))
    first, state = model(tokens[:, :5], model.start(3))
    second, _ = model(tokens[:, 5:], state)

    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-6)
    assert all(part.shape == (3, 2, 6) for part in state)


def test_dropout_is_for_training_alone():
    config = LanguageModel.Config(
        cell="lstm",
        layers=2,
        hidden=6,
        embedding=5,
        token_dropout=0.5,
        layer_dropout=0.5,
        output_dropout=0.5,
        weight_dropout=0.5,
    )
    model = config.build(9, 0)
    tokens = torch.randint(9, (3, 8))

    def run():
        return model(tokens, model.start(3))[0]

    assert not torch.equal(run(), run())
    model.eval()
    assert torch.equal(run(), run())


def test_two_tokens_can_be_told_apart_beside_the_nats_of_all():
    config = LanguageModel.Config(cell="lstm", layers=1, hidden=6, embedding=5)
    plain = config.build(4, 0)
    asking = replace(config, told_apart=(2, 0)).build(4, 0)
    outputs, targets = torch.randn(2, 3, 4), torch.tensor([[0, 1, 2], [3, 3, 0]])
    by_hand = [
        -outputs[row, place][[0, 2]].log_softmax(-1)[index]
        for row, place, index in ((0, 0, 0), (0, 2, 1), (1, 2, 0))
    ]

    more = asking.loss(outputs, targets) - plain.loss(outputs, targets)

    assert torch.isclose(more, torch.stack(by_hand).mean())


def test_where_neither_of_the_two_comes_nothing_is_added():
    config = LanguageModel.Config(cell="lstm", layers=1, hidden=6, embedding=5)
    asking = replace(config, told_apart=(2, 0)).build(4, 0)
    outputs, targets = torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.int64)

    assert asking.loss(outputs, targets) == config.build(4, 0).loss(outputs, targets)
