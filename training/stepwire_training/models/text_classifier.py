"""What classifiers of whole texts have in common: tokens to vectors, features to labels.

B rows, T positions, E values of an embedding, F features of a text, C labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.dropout import LockedDropout, TokenDropout
from stepwire_training.models.network import Network, State


class TextClassifier(Network):
    """Embeds the tokens of a text, makes features of them (see read), scores the labels."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        embedding: int
        token_dropout: float = 0.0  # share of positions hidden from the model
        embedding_dropout: float = 0.0  # one mask per row
        output_dropout: float = 0.0  # on the features

    def __init__(self, config: Config, vocabulary: int, shape: tuple[int, int]) -> None:
        """Makes fresh weights.

        Args:
            config: sizes and regularisation.
            vocabulary: tokens.
            shape: how many features a text has, and how many labels there are.
        """
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.hide = TokenDropout(config.token_dropout)
        self.after_embedding = LockedDropout(config.embedding_dropout)
        self.before_output = nn.Dropout(config.output_dropout)
        self.output = nn.Linear(*shape)

    def start(self, rows: int) -> State:
        """A text is judged whole: there is no state to carry."""
        del rows
        return ()

    def begin_from(self, vectors: Tensor) -> None:
        """Puts word vectors [V, E] into the embedding."""
        self.embedding.weight.data.copy_(vectors)

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """What is known of whole texts.

        Args:
            x: the vectors of their tokens [B, T, E]; behind a row's length stands anything.
            lengths: int64 [B], at least 1.

        Returns:
            [B, F].
        """
        raise NotImplementedError

    def forward(self, tokens: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores the labels of whole texts.

        Args:
            tokens: int64 [B, T], padded behind each row's length.
            lengths: int64 [B], at least 1.
            state: empty.

        Returns:
            Logits [B, C], and the empty state.
        """
        x = self.after_embedding(self.hide(self.embedding(tokens)))
        return self.output(self.before_output(self.read(x, lengths))), state


def inside(lengths: Tensor, positions: int) -> Tensor:
    """Which positions belong to a row's text: bool [B, T]."""
    return torch.arange(positions) < lengths.unsqueeze(1)


def at_end(x: Tensor, lengths: Tensor) -> Tensor:
    """What stands at the last position of each text: x [B, T, H] to [B, H]."""
    return x[torch.arange(len(x)), lengths - 1]
