"""A run that has come to its end."""

from dataclasses import dataclass

from stepwire_training.checkpoint import Progress
from stepwire_training.data.batches import Dataset
from stepwire_training.models.network import Network
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
        model.eval()
        return model


def halve(model: Network) -> None:
    """Rounds the matrices of a model to what half precision holds, so that they can be stored so.

    It comes before the proofs and the figures: both are of the weights that are served.
    """
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data = weight.data.half().float()
