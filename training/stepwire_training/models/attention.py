"""How a decoder looks at its source.

B rows, T positions of the target, S positions of the source, Q size of a query, M size of
the memory.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["dot", "general", "additive"]


class Attention(nn.Module):
    """Weighs the memory of a source by how well each position answers a query.

    "dot" and "general" as in Luong et al. (2015, section 3.1), "additive" as in Bahdanau et
    al. (2015, appendix A.1.2). What depends on the memory alone is computed once for each
    source: its keys.
    """

    def __init__(self, kind: Kind, query: int, memory: int) -> None:
        super().__init__()
        if kind == "dot" and query != memory:
            raise ValueError(f"dot attention needs as many units as memory, {query} and {memory}")
        self.kind: Kind = kind
        self.of_memory = nn.Linear(memory, query, bias=False) if kind != "dot" else None
        self.of_query = nn.Linear(query, query) if kind == "additive" else None
        self.score = nn.Parameter(torch.empty(query)) if kind == "additive" else None
        if self.score is not None:
            nn.init.uniform_(self.score, -0.1, 0.1)

    def keys(self, memory: Tensor) -> Tensor:
        """What queries are compared with: [B, S, M] to [B, S, Q]."""
        return memory if self.of_memory is None else self.of_memory(memory)

    def forward(
        self, queries: Tensor, keys: Tensor, memory: Tensor, inside: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Looks at the source.

        Args:
            queries: [B, T, Q].
            keys: [B, S, Q].
            memory: [B, S, M].
            inside: bool [B, S], which positions are the source's own.

        Returns:
            Contexts [B, T, M] and weights [B, T, S].
        """
        if self.of_query is not None and self.score is not None:
            mixed = torch.tanh(self.of_query(queries).unsqueeze(2) + keys.unsqueeze(1))
            scores = mixed @ self.score.to(mixed.dtype)  # [B, T, S]
        else:
            scores = queries @ keys.transpose(1, 2)
        weights = scores.float().masked_fill(~inside.unsqueeze(1), -1e9).softmax(dim=-1)
        return weights.to(memory.dtype) @ memory, weights
