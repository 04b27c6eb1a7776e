"""What every architecture offers, so that one loop trains them all."""

from torch import Tensor, nn
from torch.nn import functional

State = tuple[Tensor, ...]


class Network(nn.Module):
    """Reads inputs and a state; answers with logits and the next state."""

    def start(self, rows: int) -> State:
        """The state before the first input; batch is axis 0 of each part."""
        raise NotImplementedError

    def begin_from(self, vectors: Tensor) -> None:
        """Puts word vectors [V, E] into the embedding."""
        raise NotImplementedError

    def loss(self, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """What an update brings down: the mean over all targets, unless a model knows better.

        Args:
            logits: [..., C].
            targets: int64 [...]; what PyTorch's losses pass over counts for nothing.
            smoothing: share of each target that all classes have in common.

        Returns:
            A scalar.
        """
        return functional.cross_entropy(
            logits.flatten(0, -2), targets.flatten(), label_smoothing=smoothing
        )
