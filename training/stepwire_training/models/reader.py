"""A bidirectional LSTM that foretells tokens, which a classifier's encoder learns first.

B rows, T positions, H hidden units of one direction, E embedding, U tokens of a batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.encoder import Encoder
from stepwire_training.models.network import Network, State


class Reader(Network):
    """Foretells the next token from those before, and the previous from those behind."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        encoder: Encoder.Config
        output_dropout: float = 0.0  # on what each direction knows

        def build(self, vocabulary: int, labels: int) -> "Reader":
            """A model with fresh weights; every token of the vocabulary is also a label."""
            del labels
            return Reader(self, vocabulary)

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder, vocabulary)
        self.before_output = nn.Dropout(config.output_dropout)
        self.project = nn.Linear(config.encoder.hidden, config.encoder.embedding)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def start(self, rows: int) -> State:
        """A text is read whole: there is no state to carry."""
        del rows
        return ()

    def forward(self, tokens: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores the neighbours of every position.

        Args:
            tokens: int64 [B, T], padded behind each row's length.
            lengths: int64 [B], at least 1.
            state: empty.

        Returns:
            Logits [B, T, 2, U], for the next token and for the previous, among the batch's own
            tokens in sorted order; and the empty state.
        """
        known = torch.stack(self.encoder(tokens, lengths), dim=2)  # [B, T, 2, H]
        features = self.project(self.before_output(known))  # [B, T, 2, E]
        candidates = torch.unique(tokens)  # [U]
        # The embedding scores as well as it reads: one table, half the weights.
        weight = self.encoder.embedding(candidates)  # [U, E]
        return nn.functional.linear(features, weight, self.bias[candidates]), state
