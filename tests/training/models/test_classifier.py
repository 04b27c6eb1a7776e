import torch

from stepwire_training.models.classifier import Classifier, pool
from stepwire_training.models.encoder import Encoder


def test_a_padded_text_is_judged_as_it_is_alone():
    config = Classifier.Config(encoder=Encoder.Config(layers=2, hidden=6, embedding=5))
    model = config.build(vocabulary=9, labels=2).eval()
    tokens, lengths = torch.randint(9, (4, 7)), torch.tensor([7, 1, 4, 6])
    together, _ = model(tokens, lengths, ())

    for row, length in enumerate(lengths):
        alone, _ = model(tokens[row : row + 1, :length], length[None], ())
        assert torch.allclose(together[row], alone[0], atol=1e-6)


def test_pooling_is_mean_then_maximum_of_the_text_alone():
    x = torch.tensor([[[0.2], [-0.4], [0.9]]])

    assert torch.allclose(pool(x, torch.tensor([2])), torch.tensor([[-0.1, 0.2]]))
    assert torch.allclose(pool(-x.abs(), torch.tensor([2])), torch.tensor([[-0.3, -0.2]]))
