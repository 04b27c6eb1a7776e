import numpy as np
import pytest
import torch

from stepwire_training.data.batches import Batch, TextStream
from stepwire_training.evaluate import evaluate
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.network import Network


class Guesser(Network):
    """Says the same of everything: the first of four labels, with three quarters."""

    def start(self, rows):
        return ()

    def forward(self, tokens, state):
        odds = torch.tensor([9.0, 1.0, 1.0, 1.0]).log()
        return odds.expand(*tokens.shape, 4), state


class Fixed:
    """One batch with given targets."""

    def __init__(self, targets):
        self.targets = torch.tensor(targets)

    def __len__(self):
        return 1

    def batch(self, step, shard):
        return Batch((torch.zeros_like(self.targets),), self.targets, fresh=True)


def test_it_measures_mean_nats_and_the_share_of_hits():
    score = evaluate(Guesser(), Fixed([[0, 0, 0, 1]]))

    assert score.loss == pytest.approx(-(3 * np.log(9 / 12) + np.log(1 / 12)) / 4)
    assert score.accuracy == 0.75


def test_chunks_measure_what_the_whole_does():
    model = LanguageModel.Config(cell="lstm", layers=1, hidden=6, embedding=5).build(9, 0)
    ids = np.random.default_rng(0).integers(9, size=61)
    whole, chunked = (evaluate(model, TextStream(ids, rows=1, length=n)) for n in (60, 7))

    assert whole.loss == pytest.approx(chunked.loss)
    assert model.training
