"""An LSTM layer whose gates and memory are normalised at every position (Ba et al., 2016).

B rows, T positions, I inputs, H hidden units. No fused kernel computes it: what the input
says is computed at all positions at once, the rest one position after the other.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stepwire_training.models.network import State
from stepwire_training.models.text_classifier import TextClassifier, at_end
from stepwire_training.models.wording import layers


class NormalisedLstm(TextClassifier):
    """Reads a text once, from its beginning, and judges by what is left."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TextClassifier.Config):
        """Shape and regularisation."""

        hidden: int
        weight_dropout: float = 0.0  # on recurrent weights, one mask per batch

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"{layers(1, 'ln-lstm', self.hidden)}, judged by its last state"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "NormalisedLstm":
            """A model with fresh weights."""
            del sources
            return NormalisedLstm(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__(config, vocabulary, (config.hidden, labels))
        self.layer = NormalisedLayer(config.embedding, config.hidden, config.weight_dropout)

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The state at the end of each text: x [B, T, E] to [B, H]."""
        states, _ = self.layer(x, self.layer.start(len(x)))
        return at_end(states, lengths)


class NormalisedLayer(nn.Module):
    """Three norms: of what comes from the input, from the state, and of the memory.

    The gates come in the order input, forget, output, candidate.
    """

    def __init__(self, inputs: int, hidden: int, weight_dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_dropout = weight_dropout
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.of_input = nn.LayerNorm(4 * hidden)
        self.of_state = nn.LayerNorm(4 * hidden)
        self.of_memory = nn.LayerNorm(hidden)
        nn.init.xavier_uniform_(self.weight_ih)
        for gate in self.weight_hh.data.view(-1, hidden, hidden):
            nn.init.orthogonal_(gate)
        # An open forget gate lets the gradient reach far back from the first step on.
        self.of_input.bias.data[hidden : 2 * hidden] = 1.0

    def start(self, rows: int) -> State:
        """The state before the first position: zeros, [B, H] each."""
        zeros = self.weight_hh.new_zeros(rows, self.hidden)
        return zeros, zeros

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads whole sequences.

        Args:
            x: [B, T, I].
            state: h and c, [B, H] each.

        Returns:
            [B, T, H], and the state after the last position, [B, H] each.
        """
        recurrent = torch.dropout(self.weight_hh, self.weight_dropout, self.training)
        from_input = self.of_input(functional.linear(x, self.weight_ih).float())  # [B, T, 4H]
        h, c = state
        states = []
        for at_position in from_input.unbind(1):
            from_state = functional.linear(h, recurrent).float()
            h, c = self.step(at_position + self.of_state(from_state), c)
            states.append(h)
        return torch.stack(states, dim=1), (h, c)

    def step(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The next h and c [B, H], from normalised gates [B, 4H] and the memory before."""
        opening, candidate = gates[:, : 3 * self.hidden], gates[:, 3 * self.hidden :]
        admit, keep, show = opening.sigmoid().chunk(3, dim=1)
        c = keep * c + admit * candidate.tanh()
        return show * self.of_memory(c).tanh(), c
