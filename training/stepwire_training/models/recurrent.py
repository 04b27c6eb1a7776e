"""One recurrent layer of one direction, run over whole sequences by PyTorch's fused kernels.

B rows, T positions, I inputs, H hidden units, G gates. The weights have the names and the
gate order of torch.nn.LSTM, GRU and RNN, so either can stand in for the other.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from stepwire_training.models.network import State

Cell = Literal["lstm", "gru", "rnn"]  # those of which whole sequences run at once

GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}
STATES: dict[str, tuple[str, ...]] = {
    **{"lstm": ("h", "c"), "gru": ("h",), "rnn": ("h",)},
    "ln-lstm": ("h", "c"),  # see normalised_lstm
}


class RecurrentLayer(nn.Module):
    """A layer of LSTM, GRU or plain tanh cells."""

    def __init__(self, cell: Cell, inputs: int, hidden: int, weight_dropout: float = 0.0) -> None:
        super().__init__()
        gates = GATES[cell]
        self.cell: Cell = cell
        self.hidden = hidden
        self.weight_dropout = weight_dropout
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(gates * hidden))
        self.bias_hh = nn.Parameter(torch.zeros(gates * hidden))
        self._initialise()

    def _initialise(self) -> None:
        nn.init.xavier_uniform_(self.weight_ih)
        for gate in self.weight_hh.data.view(-1, self.hidden, self.hidden):
            nn.init.orthogonal_(gate)
        if self.cell == "lstm":
            # An open forget gate lets the gradient reach far back from the first step on.
            self.bias_ih.data[self.hidden : 2 * self.hidden] = 1.0

    def remember(self, longest: int) -> None:
        """Gives the cells of a fresh LSTM memories of all lengths up to `longest` steps.

        A forget gate of bias b that hears nothing forgets in about exp(b) steps, and its input
        gate, of bias -b, takes in as little as it lets go (Tallec and Ollivier, 2018). They draw
        the steps uniformly; here their logarithm is, so that most cells stay quick.
        """
        assert self.cell == "lstm", self.cell
        biases = torch.rand(self.hidden) * math.log(longest)
        self.bias_ih.data[: 2 * self.hidden] = torch.cat([-biases, biases])

    def start(self, rows: int) -> State:
        """The state before the first position: zeros, [B, H] each."""
        return tuple(self.weight_hh.new_zeros(rows, self.hidden) for _ in STATES[self.cell])

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads whole sequences.

        Args:
            x: [B, T, I].
            state: [B, H] each.

        Returns:
            [B, T, H], and the state after the last position, [B, H] each.
        """
        # Dropping recurrent weights, one mask for the whole sequence, leaves the fused kernel
        # usable; dropping the state between positions would not.
        recurrent = torch.dropout(self.weight_hh, self.weight_dropout, self.training)
        weights = (self.weight_ih, recurrent, self.bias_ih, self.bias_hh)
        starts = [part.unsqueeze(0) for part in state]
        if self.cell == "lstm":
            y, h, c = torch.lstm(x, starts, weights, True, 1, 0.0, self.training, False, True)
            return y, (h[0].float(), c[0].float())
        run = torch.gru if self.cell == "gru" else torch.rnn_tanh
        y, h = run(x, starts[0], weights, True, 1, 0.0, self.training, False, True)
        return y, (h[0].float(),)
