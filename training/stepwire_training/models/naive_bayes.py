"""Naive Bayes: each token speaks for the labels by itself, wherever it stands.

V tokens, B rows, T positions, C labels. Fitted by scikit-learn, by counting.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.data.counted import Counts
from stepwire_training.models.network import Network, State
from stepwire_training.models.text_classifier import inside


class NaiveBayes(Network):
    """A table of log-probabilities, summed up over the tokens of a text.

    It learns all it can before the first step (see begin_from): no step moves it.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """How it counts."""

        smoothing: float = 1.0  # times that every token is taken to have stood in each label

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return "naive Bayes: a table of how often each token stood in each label"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "NaiveBayes":
            """A model that knows nothing yet."""
            del sources
            return NaiveBayes(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.smoothing = config.smoothing
        self.table = nn.Parameter(torch.zeros(vocabulary, labels))
        self.prior = nn.Parameter(torch.zeros(labels))

    def start(self, rows: int) -> State:
        """A text is judged whole: there is no state to carry."""
        del rows
        return ()

    def begin_from(self, counts: Counts) -> None:
        """Learns from which tokens stand in texts of which label."""
        # Imported here: it is slow to load, and only a fit needs it.
        from sklearn.naive_bayes import MultinomialNB

        fitted = MultinomialNB(alpha=self.smoothing).fit(counts.texts, counts.labels)
        table = torch.from_numpy(fitted.feature_log_prob_.T)  # [V, C]
        prior = torch.from_numpy(fitted.class_log_prior_)
        # Only differences between labels decide; about zero they keep more digits.
        self.table.data.copy_(table - table.mean(dim=1, keepdim=True))
        self.prior.data.copy_(prior - prior.mean())

    def forward(self, tokens: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores the labels of whole texts.

        Args:
            tokens: int64 [B, T], padded behind each row's length.
            lengths: int64 [B], at least 1.
            state: empty.

        Returns:
            Logits [B, C], and the empty state.
        """
        within = inside(lengths, tokens.shape[1]).unsqueeze(2)
        said = torch.where(within, self.table[tokens], 0.0)  # [B, T, C]
        return self.prior + said.sum(dim=1), state
