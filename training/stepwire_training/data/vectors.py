"""Word vectors from which tokens stand beside which: what an embedding begins from.

Positive pointwise mutual information, factorised (Levy and Goldberg, 2014; Levy et al.,
2015). Takes seconds, and rare tokens begin near those that are used like them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stepwire_training.data.splitting import Ids

WINDOW = 5  # tokens to either side; a neighbour counts by the inverse of its distance
SMOOTHING = 0.75  # of the neighbours' frequencies, so that rare ones are not overrated
SPREAD = 0.1  # standard deviation of all values, that of a fresh embedding


def word_vectors(texts: Sequence[Ids], vocabulary: int, size: int, seed: int) -> Tensor:
    """Learns vectors from texts alone.

    Args:
        texts: token ids, [T] each.
        vocabulary: V.
        size: values of a vector, E.
        seed: of the randomised factorisation.

    Returns:
        float32 [V, E]; zeros for tokens that stand nowhere.
    """
    pairs, weights = neighbours(texts, vocabulary)
    values = information(pairs, weights, vocabulary)
    kept = values > 0
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(pairs[:, kept]),
        torch.from_numpy(values[kept]),
        (vocabulary, vocabulary),
        check_invariants=True,
        is_coalesced=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        left, strengths, _ = torch.svd_lowrank(matrix, q=size, niter=4)
    vectors = left * strengths.sqrt()
    return vectors * (SPREAD / vectors.std())


def neighbours(texts: Sequence[Ids], vocabulary: int) -> tuple[Ids, np.ndarray]:
    """Which tokens stand near which: pairs [2, P], each pair once, and weights [P]."""
    ids = np.concatenate(texts)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    codes, weights = [], []
    for distance in range(1, WINDOW + 1):
        same = owners[distance:] == owners[:-distance]
        left, right = ids[:-distance][same], ids[distance:][same]
        codes += [left * vocabulary + right, right * vocabulary + left]
        weights += [np.full(2 * len(left), 1.0 / distance)]
    found, places = np.unique(np.concatenate(codes), return_inverse=True)
    totals = np.bincount(places, np.concatenate(weights))
    return np.stack(np.divmod(found, vocabulary)), totals


def information(pairs: Ids, weights: np.ndarray, vocabulary: int) -> np.ndarray:
    """How much more often each pair occurs than by chance: float32 [P], in nats."""
    counts = np.bincount(pairs[0], weights, minlength=vocabulary)
    smoothed = counts**SMOOTHING
    chance = counts[pairs[0]] * smoothed[pairs[1]] / smoothed.sum()
    return np.log(weights / chance).astype(np.float32)
