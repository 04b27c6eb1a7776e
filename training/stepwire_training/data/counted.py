"""Labelled texts whose tokens are counted before the first step, which is all that some learn from.

N texts, V tokens.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stepwire_training.data.along import Texts
from stepwire_training.data.batches import Batches, Dataset, Shard
from stepwire_training.data.splitting import Ids

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Counts(NamedTuple):
    """How often each token stands in each text, and what the texts are."""

    texts: "csr_array"  # [N, V]
    labels: Ids  # [N]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Texts that are counted: what a model begins from are the counts of the training split."""

    texts: Texts

    def load(self) -> Dataset:
        """Reads the texts."""
        dataset = self.texts.load()
        return replace(dataset, vectors=partial(count, dataset.train, dataset.sizes[0]))


def count(batches: Batches, vocabulary: int) -> Counts:
    """Counts the tokens of one pass."""
    # Imported here: it is slow to load, and only a fit needs it.
    from scipy.sparse import coo_array

    rows, tokens, labels, first = [], [], [], 0
    for step in range(len(batches)):
        (batch, lengths), targets, _ = batches.batch(step, Shard())
        row, place = np.nonzero(np.arange(batch.shape[1]) < lengths.numpy()[:, None])
        rows.append(first + row)
        tokens.append(batch.numpy()[row, place])
        labels.append(targets.numpy())
        first += len(targets)
    where = np.concatenate(rows), np.concatenate(tokens)
    counts = coo_array((np.ones(len(where[0])), where), shape=(first, vocabulary))
    return Counts(counts.tocsr(), np.concatenate(labels))
