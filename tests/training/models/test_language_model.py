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
