"""A bidirectional LSTM that judges a whole text.

B rows, T positions, H hidden units of one direction, C labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.encoder import Encoder
from stepwire_training.models.network import Network, State
from stepwire_training.models.wording import both_ways


class Classifier(Network):
    """Reads a text both ways, pools over its positions, scores the labels."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        encoder: Encoder.Config
        output_dropout: float = 0.0  # on the pooled features

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            read = both_ways(self.encoder.layers, self.encoder.cell, self.encoder.hidden)
            return f"{read}, averaged and maximised over the text"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "Classifier":
            """A model with fresh weights."""
            del sources
            return Classifier(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder, vocabulary)
        self.before_output = nn.Dropout(config.output_dropout)
        self.output = nn.Linear(4 * config.encoder.hidden, labels)

    def start(self, rows: int) -> State:
        """A text is judged whole: there is no state to carry."""
        del rows
        return ()

    def begin_from(self, vectors: Tensor) -> None:
        """Puts word vectors [V, E] into the embedding."""
        self.encoder.embedding.weight.data.copy_(vectors)

    def forward(self, tokens: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores the labels of whole texts.

        Args:
            tokens: int64 [B, T], padded behind each row's length.
            lengths: int64 [B], at least 1.
            state: empty.

        Returns:
            Logits [B, C], and the empty state.
        """
        x = torch.cat(self.encoder(tokens, lengths), dim=2)  # [B, T, 2H]
        return self.output(self.before_output(pool(x, lengths))), state


def pool(x: Tensor, lengths: Tensor) -> Tensor:
    """Mean and maximum over the positions of the text alone.

    Args:
        x: [B, T, 2H].
        lengths: int64 [B].

    Returns:
        [B, 4H]: the means, then the maxima.
    """
    inside = (torch.arange(x.shape[1]) < lengths.unsqueeze(1)).unsqueeze(2)  # [B, T, 1]
    mean = torch.where(inside, x, 0.0).sum(dim=1) / lengths.unsqueeze(1).to(x.dtype)
    # A tanh-bounded output never falls to -1, so padding never wins.
    maximum = torch.where(inside, x, -1.0).amax(dim=1)
    return torch.cat([mean, maximum], dim=1)
