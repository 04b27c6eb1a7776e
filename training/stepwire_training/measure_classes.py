"""How well a classifier finds each of its labels, the rare ones too.

B rows, C labels.
"""

import torch
from torch import Tensor

from stepwire_training.data.batches import Batches, Shard
from stepwire_training.models.network import Network


def confusion(model: Network, batches: Batches, labels: int) -> Tensor:
    """How many texts of each label were found to be of each: int64 [C, C], by what they are."""
    model.eval()
    pairs = []
    for step in range(len(batches)):
        inputs, targets, _ = batches.batch(step, Shard())
        with torch.inference_mode():
            logits, _ = model(*inputs, model.start(len(targets)))
        pairs.append(targets * labels + logits.argmax(dim=1))
    return torch.cat(pairs).bincount(minlength=labels * labels).view(labels, labels)


def macro_f1(found: Tensor) -> float:
    """The mean over the labels of the harmonic mean of precision and recall.

    A label that is neither there nor found does not count.

    Args:
        found: how many texts of each label were found to be of each, [C, C].
    """
    right, each = found.diagonal(), found.sum(dim=0) + found.sum(dim=1)
    counts = each > 0
    return float((2.0 * right[counts] / each[counts]).mean())
