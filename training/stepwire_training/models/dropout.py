"""Dropout with one mask for a whole sequence (Gal and Ghahramani, 2016)."""

import torch
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Drops the same features at every position of a row."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drops features; x and the result are [B, T, H]."""
        mask = torch.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.rate, self.training)
        return x * mask


class TokenDropout(nn.Module):
    """Drops whole positions, so that no single token is ever indispensable."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Drops positions; x and the result are [B, T, E]."""
        mask = torch.dropout(x.new_ones(x.shape[0], x.shape[1], 1), self.rate, self.training)
        return x * mask
