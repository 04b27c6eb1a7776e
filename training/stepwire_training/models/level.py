"""Where a series stands: its running mean and variance.

B rows, T positions, F columns.
"""

import torch
from torch import Tensor


def track(
    x: Tensor, seen: Tensor, level: Tensor, variance: Tensor, memory: float
) -> tuple[Tensor, Tensor]:
    """Moves mean and variance along a series.

    Of the first rows they are the plain ones; from `memory` rows on each row counts a
    little more than the row before it, so that what is long gone is forgotten.

    Args:
        x: [B, T, F].
        seen: [B, 1], how many rows were read before.
        level: [B, F], the mean of those.
        variance: [B, F], of those.
        memory: how many rows count, about.

    Returns:
        Means and variances with each row counted in, [B, T, F] each.
    """
    levels, variances = [], []
    for position in range(x.shape[1]):
        share = (1.0 / (seen + (position + 1))).clamp(min=1.0 / memory)  # [B, 1]
        offset = x[:, position] - level
        level = level + share * offset
        variance = (1.0 - share) * (variance + share * offset * offset)
        levels.append(level)
        variances.append(variance)
    return torch.stack(levels, dim=1), torch.stack(variances, dim=1)
