"""An n-gram model with interpolated, modified Kneser-Ney smoothing (Chen and Goodman, 1998).

A context is the last k tokens, k below n. Counted once are, for every context, which tokens came
after it; a token's probability there is a share that was seen, less a discount, plus what the
discounts left over times its probability after the context that is one token shorter.

B rows, T positions, V tokens, K = n - 1 tokens of the longest context, C contexts, E tokens seen
after contexts, W the most of them after one, M buckets of at most S contexts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stepwire_training.data.counting import NONE, Table, count, keys_of
from stepwire_training.data.splitting import Ids
from stepwire_training.models.network import Network, State

TABLES = ("base", "left", "seen")  # real numbers
PLACES = ("first", "tokens", "buckets", "quotients")  # whole numbers


class Ngram(Network):
    """Reads tokens and gives the logarithm of the probability of each that may come next.

    It learns all it can before the first step (see begin_from): no step moves it.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """How far it looks back."""

        order: int  # n: the token that is predicted, and n - 1 before it

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"counts of {self.order} tokens in a row, Kneser-Ney smoothing"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "Ngram":
            """A model that has counted nothing yet."""
            del labels, sources
            return Ngram(self, vocabulary)

    base: Tensor
    left: Tensor
    seen: Tensor
    first: Tensor
    tokens: Tensor
    buckets: Tensor
    quotients: Tensor

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        if config.order < 2:
            raise ValueError(f"order must be at least 2, got {config.order}")
        self.config = config
        self.vocabulary = vocabulary
        self._take(count(np.zeros(0, np.int64), config.order, vocabulary))

    def begin_from(self, vectors: Ids) -> None:
        """Counts a text, int64 [T]."""
        self._take(count(vectors, self.config.order, self.vocabulary))

    def _take(self, table: Table) -> None:
        """Keeps what was counted; real numbers as parameters, which is what weights are."""
        for name in TABLES:
            self.register_parameter(name, nn.Parameter(torch.from_numpy(getattr(table, name))))
        for name in PLACES:
            self.register_buffer(name, torch.from_numpy(getattr(table, name)))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Takes tables of any size."""
        self._take(Table(**{name: part.numpy() for name, part in state_dict.items()}))
        return super().load_state_dict(state_dict, *args, **kwargs)

    def start(self, rows: int) -> State:
        """Before any token: the last tokens, newest first, each plus 1; 0 is none. [B, K]."""
        return (torch.zeros(rows, self.config.order - 1, dtype=torch.int64),)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores every next token.

        Args:
            tokens: int64 [B, T].
            state: int64 [B, K].

        Returns:
            Logits [B, T, V], which are logarithms of probabilities, and the last tokens [B, K].
        """
        longest = self.config.order - 1
        read = torch.cat([state[0].flip(1), tokens + 1], dim=1)  # [B, K + T]
        behind = read.unfold(1, longest, 1)[:, 1:].flip(2)  # [B, T, K], newest first
        nodes = self.find(keys_of(behind, self.vocabulary))
        return self.mixed(nodes).log(), (behind[:, -1],)

    def find(self, keys: Tensor) -> Tensor:
        """The number of each context, int64 [B, T, K], by its key; NONE where it never came."""
        count = len(self.buckets) - 1
        places, inside = _ranges(self.buckets, keys % count)  # [B, T, K, S]
        here = inside & (self.quotients[places] == (keys // count).unsqueeze(-1))
        return torch.where(here, places + 1, NONE).sum(dim=-1)

    def mixed(self, nodes: Tensor) -> Tensor:
        """Probabilities [B, T, V] after the contexts of 1 to K tokens, int64 [B, T, K]."""
        places, inside = _ranges(self.first, nodes)  # [B, T, K, W]
        # What stands behind a context's own goes to a column that is cut off.
        columns = torch.where(inside, self.tokens[places].long(), self.vocabulary)
        shares = torch.zeros(*nodes.shape, self.vocabulary + 1)
        shares = shares.scatter(-1, columns, self.seen[places])[..., : self.vocabulary]
        result = self.base.expand(*nodes.shape[:2], -1)
        for k in range(nodes.shape[2]):
            result = self.left[nodes[..., k, None]] * result + shares[..., k, :]
        return result


def _ranges(first: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The places from where a part begins to where the next one does.

    Args:
        first: where each of P parts begins, and where the last one ends, [P + 1].
        numbers: of the parts that are asked for, [...].

    Returns:
        Places [..., W], W those of the longest part, and whether they are the part's own; the
        others are 0.
    """
    begins = first.long()
    widest = int((begins[1:] - begins[:-1]).max())
    places = begins[numbers].unsqueeze(-1) + torch.arange(widest)
    inside = places < begins[numbers + 1].unsqueeze(-1)
    return torch.where(inside, places, 0), inside
