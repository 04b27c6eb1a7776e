"""Filters over a few tokens, and the strongest answer of each anywhere in the text (Kim, 2014).

B rows, T positions, E values of an embedding, F filters of one width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stepwire_training.models.text_classifier import TextClassifier, inside
from stepwire_training.models.wording import listed


class Convolution(TextClassifier):
    """Knows which groups of tokens stand somewhere in a text, and not where."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TextClassifier.Config):
        """Shape and regularisation."""

        widths: tuple[int, ...]  # tokens that a filter looks at
        filters: int  # of each width

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            widths = listed(self.widths)
            return f"{self.filters} filters each over {widths} tokens, maximised over the text"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "Convolution":
            """A model with fresh weights."""
            del sources
            return Convolution(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__(config, vocabulary, (len(config.widths) * config.filters, labels))
        self.filters = nn.ModuleList(
            nn.Conv1d(config.embedding, config.filters, width) for width in config.widths
        )

    def convolutions(self) -> list[nn.Conv1d]:
        """The filters of each width."""
        return [filters for filters in self.filters if isinstance(filters, nn.Conv1d)]

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The strongest answer of each filter: x [B, T, E] to [B, widths x F].

        A window begins at each token of the text; what it sees behind the text is zeros.
        """
        within = inside(lengths, x.shape[1]).unsqueeze(1)  # [B, 1, T]
        text = torch.where(within, x.transpose(1, 2), 0.0)  # [B, E, T]
        strongest = []
        for filters in self.convolutions():
            answers = filters(functional.pad(text, (0, filters.kernel_size[0] - 1)))  # [B, F, T]
            strongest.append(torch.where(within, torch.relu(answers), 0.0).amax(dim=2))
        return torch.cat(strongest, dim=1)
