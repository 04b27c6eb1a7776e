"""Word vectors for taggers: from which words stand just before and just behind a word.

As in vectors.py, but the two sides are told apart and only the nearest neighbours count:
what may stand before a word says what kind of word it is, more than what it is about.
V words, E values of a vector.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stepwire_training.data.splitting import Ids
from stepwire_training.data.vectors import SMOOTHING, SPREAD

DISTANCES = (1, 2)  # of neighbours, to either side
STRENGTH = 0.5  # power of the singular values: how much more the first dimensions count


def sided_vectors(texts: Sequence[Ids], vocabulary: int, size: int, seed: int) -> Tensor:
    """Learns vectors from texts alone.

    Args:
        texts: word ids, [T] each.
        vocabulary: V.
        size: E.
        seed: of the randomised factorisation.

    Returns:
        float32 [V, E]; zeros for words that stand nowhere.
    """
    pairs, counts = _neighbours(texts, vocabulary)
    values = _information(pairs, counts)
    kept = values > 0
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(pairs[:, kept]),
        torch.from_numpy(values[kept]),
        (vocabulary, 2 * len(DISTANCES) * vocabulary),
        check_invariants=True,
        is_coalesced=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        left, strengths, _ = torch.svd_lowrank(matrix, q=size, niter=3)
    vectors = left * strengths**STRENGTH
    return vectors * (SPREAD / vectors.std())


def _neighbours(texts: Sequence[Ids], vocabulary: int) -> tuple[Ids, Ids]:
    """Which words stand where beside which.

    Returns:
        Pairs [2, P] of a word and a neighbour, whose number also says on which side and how
        far away it stands, each pair once; and how often each was seen, [P].
    """
    ids = np.concatenate(texts)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    columns = 2 * len(DISTANCES) * vocabulary
    codes = []
    for place, distance in enumerate(DISTANCES):
        same = owners[distance:] == owners[:-distance]
        left, right = ids[:-distance][same], ids[distance:][same]
        codes += [left * columns + 2 * place * vocabulary + right]
        codes += [right * columns + (2 * place + 1) * vocabulary + left]
    found, counts = np.unique(np.concatenate(codes), return_counts=True)
    return np.stack(np.divmod(found, columns)), counts


def _information(pairs: Ids, counts: Ids) -> np.ndarray:
    """How much more often each pair was seen than by chance: float32 [P], in nats."""
    of_words = np.bincount(pairs[0], counts)
    of_neighbours = np.bincount(pairs[1], counts) ** SMOOTHING
    chance = of_words[pairs[0]] * of_neighbours[pairs[1]] / of_neighbours.sum()
    return np.log(counts / chance).astype(np.float32)
