import pytest
import torch

from stepwire_training.data.along import AskedAlong
from stepwire_training.data.batches import Batch
from stepwire_training.measure_along import measure_along
from stepwire_training.models.network import Network


class Patient(Network):
    """Says 0 until it has read three tokens, and 1 from then on."""

    def start(self, rows):
        return ()

    def forward(self, tokens, state):
        late = torch.arange(tokens.shape[1]) >= 2
        verdicts = torch.where(late, 1, 0).expand(tokens.shape)
        return 9.0 * torch.nn.functional.one_hot(verdicts, 2).float(), state


class FourTexts:
    """Texts of four tokens, of which three have label 1."""

    def __len__(self):
        return 1

    def batch(self, step, shard):
        inputs = (torch.zeros(4, 4, dtype=torch.int64), torch.full((4,), 4))
        return Batch(inputs, torch.tensor([1, 1, 1, 0]), fresh=True)


def test_it_measures_the_end_and_every_quarter_before_it():
    metrics = measure_along(Patient(), AskedAlong(FourTexts()), "what others reached")
    found = {(metric.name, metric.split): metric.value for metric in metrics}

    assert found["accuracy", "test"] == 0.75
    assert found["accuracy", "test, after 75 % of the tokens"] == 0.75
    assert found["accuracy", "test, after 50 % of the tokens"] == 0.25
    assert found["accuracy", "test, after 25 % of the tokens"] == 0.25
    assert found["loss", "test"] == pytest.approx(0.25 * 9, abs=0.01)


def test_the_published_figure_stands_beside_the_accuracy_at_the_end():
    first, *others = measure_along(Patient(), AskedAlong(FourTexts()), "what others reached")

    assert (first.split, first.published) == ("test", "what others reached")
    assert {metric.published for metric in others} == {""}
