"""What every architecture offers, so that one loop trains them all."""

from torch import Tensor, nn

State = tuple[Tensor, ...]


class Network(nn.Module):
    """Reads inputs and a state; answers with logits and the next state."""

    def start(self, rows: int) -> State:
        """The state before the first input; batch is axis 0 of each part."""
        raise NotImplementedError

    def begin_from(self, vectors: Tensor) -> None:
        """Puts word vectors [V, E] into the embedding."""
        raise NotImplementedError
