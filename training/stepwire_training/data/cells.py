"""How often words stand near one another, as pairs with counts: what GloVe learns from.

B pairs.
"""

from dataclasses import dataclass

import numpy as np
import torch

from stepwire_training.data.batches import Batch, Shard
from stepwire_training.data.corpus import Corpus
from stepwire_training.data.splitting import Ids

LEFT_OUT = 0.02  # share of the pairs, which choose the vectors


@dataclass(frozen=True, kw_only=True)
class Near:
    """How neighbours are counted."""

    window: int = 10  # words to either side; a neighbour counts by the inverse of its distance
    rows: int = 32_768  # pairs of a batch, B
    seed: int = 1

    def splits(self, corpus: Corpus, held_out: Corpus, counts: Ids) -> tuple["Cells", "Cells"]:
        """The pairs to learn from, and those of the same texts that choose."""
        del held_out  # a shorter text has smaller counts
        pairs, weights = near(corpus, len(counts), self.window)
        order = np.random.default_rng(self.seed).permutation(len(weights))
        cut = round(LEFT_OUT * len(order))
        dev, train = order[:cut], order[cut:]
        return (
            Cells(pairs[:, train], weights[train], self.rows, self.seed),
            Cells(pairs[:, dev], weights[dev], self.rows),
        )


class Cells:
    """Pairs of words with how often they stand near one another."""

    def __init__(self, pairs: Ids, counts: np.ndarray, rows: int, seed: int | None = None) -> None:
        """Keeps pairs [2, N] and counts [N]; a seed mixes them anew each pass."""
        self._pairs, self._counts, self._rows, self._seed = pairs, counts, rows, seed
        self._pass: tuple[int, Ids] = (-1, np.arange(len(counts)))

    def __len__(self) -> int:
        return -(-len(self._counts) // self._rows)

    def batch(self, step: int, shard: Shard) -> Batch:
        """Words int64 [B / world] twice, and counts float32 [B / world]."""
        number, place = divmod(step, len(self))
        if self._seed is not None and self._pass[0] != number:
            rng = np.random.default_rng([self._seed, number])
            self._pass = (number, rng.permutation(len(self._counts)))
        chosen = self._pass[1][place * self._rows : (place + 1) * self._rows]
        chosen = chosen[shard.rank :: shard.world]
        left, right = torch.from_numpy(self._pairs[:, chosen].astype(np.int64))
        return Batch((left, right), torch.from_numpy(self._counts[chosen]), fresh=True)


def near(corpus: Corpus, vocabulary: int, window: int) -> tuple[Ids, np.ndarray]:
    """Which words stand near which: pairs int32 [2, N], each pair once, and counts float32 [N]."""
    found: Ids = np.zeros(0, np.int64)
    totals: np.ndarray = np.zeros(0)
    for distance in range(1, window + 1):
        same = corpus.owners[distance:] == corpus.owners[:-distance]
        left, right = corpus.ids[:-distance][same], corpus.ids[distance:][same]
        codes, seen = np.unique(left * vocabulary + right, return_counts=True)
        both = np.concatenate([found, codes])
        found, places = np.unique(both, return_inverse=True)
        totals = np.bincount(places, np.concatenate([totals, seen / distance]))
    # Either may stand first: each pair is counted both ways.
    left, right = np.divmod(found, vocabulary)
    both = np.concatenate([found, right * vocabulary + left])
    found, places = np.unique(both, return_inverse=True)
    totals = np.bincount(places, np.concatenate([totals, totals]))
    return np.stack(np.divmod(found, vocabulary)).astype(np.int32), totals.astype(np.float32)
