"""What every model offers that reads a source whole, and then writes while it looks at it.

B rows, S positions of the source, T of the target, V tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from stepwire_training.models.network import Network, State


class Read(NamedTuple):
    """A source, read."""

    contexts: dict[str, Tensor]  # what is looked at, [B, S, *] each, by names in the graphs
    inside: Tensor  # bool [B, S], which positions are the source's own
    start: State  # the states that the source begins, [B, *] each


class EncoderDecoder(Network):
    """Reads sources and scores every next token of what is written about them."""

    def state_names(self) -> Sequence[str]:
        """What the parts of a state are called in the graphs, in their order."""
        raise NotImplementedError

    def begun_names(self) -> Sequence[str]:
        """Those of them that a source begins, in the order of `Read.start`; others are zeros."""
        raise NotImplementedError

    def read(self, sources: Tensor, lengths: Tensor) -> Read:
        """Reads sources [B, S] of lengths [B]."""
        raise NotImplementedError

    def begin(self, read: Read) -> State:
        """The state before the first token."""
        raise NotImplementedError

    def write(self, tokens: Tensor, read: Read, state: State) -> tuple[Tensor, Tensor, State]:
        """Reads tokens [B, T] and scores what follows each.

        Returns:
            Logits [B, T, V], attention [B, T, S], and the next state.
        """
        raise NotImplementedError

    def start(self, rows: int) -> State:
        """What is written begins with its source: there is no state to carry."""
        del rows
        return ()

    def forward(
        self, sources: Tensor, lengths: Tensor, begun: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Scores every next token, told all that come before it.

        Args:
            sources: int64 [B, S], padded behind each row's length.
            lengths: int64 [B], at least 1.
            begun: int64 [B, T], targets behind the token that begins them.
            state: empty.

        Returns:
            Logits [B, T, V], and the empty state.
        """
        read = self.read(sources, lengths)
        logits, _, _ = self.write(begun, read, self.begin(read))
        return logits, state
