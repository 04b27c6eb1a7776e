"""A tagger that judges the sentence as well: what it is, and what its words are.

Both are read from the same layers. B rows, T positions, H hidden units of one direction,
L labels of words, C labels of sentences.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stepwire_training.models.chain_tagger import ChainTagger, lengths_of
from stepwire_training.models.classifier import pool
from stepwire_training.models.network import State

Scores = tuple[Tensor, Tensor]  # of words [B, T, L], and of sentences [B, C]


class JointTagger(ChainTagger):
    """Scores the labels of every word, how well they go together, and those of the sentence."""

    @dataclass(frozen=True, kw_only=True)
    class Config(ChainTagger.Config):
        """Shape and regularisation."""

        text_labels: int  # labels of sentences, C
        text_weight: float = 1.0  # of a sentence's nats beside those of one of its words

        @property
        def architecture(self) -> str:
            """As for a tagger, and what judges sentences."""
            return f"{super().architecture}, labels of texts by what is pooled over the words"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "JointTagger":
            """A model with fresh weights; `sources` are the known characters."""
            return JointTagger(self, vocabulary, labels, sources)

    def __init__(self, config: Config, vocabulary: int, labels: int, characters: int) -> None:
        super().__init__(config, vocabulary, labels, characters)
        self.text_weight = config.text_weight
        self.text_output = nn.Linear(4 * config.hidden, config.text_labels)

    def forward(
        self, tokens: Tensor, characters: Tensor, lengths: Tensor, state: State
    ) -> tuple[Scores, State]:
        """Scores the labels of every word, and those of the sentence.

        Args:
            tokens: the words, int64 [B, T], padded behind each row's length.
            characters: their characters, int64 [B, T, C], padded behind each word.
            lengths: int64 [B], at least 1.
            state: empty.

        Returns:
            Logits [B, T, L] and [B, C], and the empty state.
        """
        x = self.read(tokens, characters, lengths)
        words = self.output(self.before_output(x))
        return (words, self.text_output(self.before_output(pool(x, lengths)))), state

    def loss(self, outputs: Scores, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean nats of the words, and those of the sentences.

        Args:
            outputs: what `forward` gave.
            targets: int64 [B, 1 + T]: of the sentence, then of its words.
            smoothing: must be 0.
        """
        words, texts = outputs
        judged = functional.cross_entropy(texts.float(), targets[:, 0])
        return super().loss(words, targets[:, 1:], smoothing) + self.text_weight * judged

    def tally(self, outputs: Scores, targets: Tensor) -> Tensor:
        """Sums over all sentences: nats, how many are right in everything, and how many there are.

        They are float64 [3].
        """
        words, texts = (scores.float() for scores in outputs)
        tags, lengths = targets[:, 1:], lengths_of(targets[:, 1:])
        nats = self.chain.nats(words, tags.clamp(min=0), lengths).sum()
        nats = nats + functional.cross_entropy(texts, targets[:, 0], reduction="sum")
        right = [
            label == wanted[0] and row == wanted[1 : 1 + len(row)]
            for label, row, wanted in zip(
                texts.argmax(dim=1).tolist(),
                self.likeliest(words, lengths),
                targets.tolist(),
                strict=True,
            )
        ]
        return torch.tensor([nats.item(), sum(right), len(right)], dtype=torch.float64)
