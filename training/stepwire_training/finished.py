"""A run that has come to its end."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.checkpoint import Progress
from stepwire_training.data.batches import Dataset
from stepwire_training.eight_bits import in_8_bits
from stepwire_training.models.adaptive import AdaptiveWords
from stepwire_training.models.network import Network
from stepwire_training.models.word_vectors import WordVectors
from stepwire_training.recipe import Recipe
from stepwire_zoo.manifest import Metric


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that has come to its end."""

    recipe: Recipe
    dataset: Dataset
    progress: Progress  # its best averaged weights are published
    machine: str  # the class of machine it ran on, in words
    # The figures of the same recipe with the seeds that follow its own, in their order.
    others: tuple[tuple[Metric, ...], ...] = ()

    def model(self) -> Network:
        """The model to publish."""
        model = self.recipe.model.build(*self.dataset.sizes)
        model.load_state_dict(self.progress.best)
        if self.recipe.publication.half:
            halve(model)
        if self.recipe.publication.int8_tables:
            shorten_tables(model)
        if self.recipe.publication.int8_matrices:
            shorten_matrices(model)
        model.eval()
        model.settle(self.dataset.dev)
        return model


def halve(model: Network) -> None:
    """Rounds the matrices of a model to what half precision holds, so that they can be stored so.

    It comes before the proofs and the figures: both are of the weights that are served.
    """
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data = weight.data.half().float()


def shorten_tables(model: Network) -> None:
    """Rounds the tables that a model looks rows up in to 8 bits a value and a scale a row.

    As with `halve`, what is proved and measured is what is served.
    """
    for part in model.modules():
        if isinstance(part, nn.Embedding):
            _shorten(part.weight)
        elif isinstance(part, AdaptiveWords):
            for table in part.tables():
                _shorten(table)
        elif isinstance(part, WordVectors):
            part.int8 = True  # their table is yet to be put together


def shorten_matrices(model: Network) -> None:
    """Rounds all matrices to 8 bits a value and a scale a row."""
    for weight in model.parameters():
        if weight.dim() > 1:
            _shorten(weight)


def _shorten(table: Tensor) -> None:
    table.data = torch.from_numpy(in_8_bits(table.detach().numpy()).widened())
