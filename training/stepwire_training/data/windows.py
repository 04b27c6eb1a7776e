"""What word vectors learn to tell: the words around a word, or the word that words stand around.

Positions are read in an order of their own each pass, common words are thinned out and the
window's reach varies, as in word2vec (Mikolov et al., 2013). What a pair is told apart from is
drawn once for a few rows of a batch: with S words of noise, each counted k/S times, the expected
loss is that of k words drawn for every pair, and both ways become matrix products. Few rows must
share them: each word of noise is moved away from all of these at once, and a word that is drawn
seldom, but from thousands of pairs together, never settles.

B positions, R of them that share their noise, W words to either side, V words, S words of noise,
T words of a text.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from stepwire_training.data.batches import PADDING, Batch, Shard
from stepwire_training.data.corpus import Corpus
from stepwire_training.data.splitting import Ids

NOISE_POWER = 0.75  # of the words' frequencies, as in word2vec

Telling = Literal["around", "centre"]  # skip-gram, or a continuous bag of words


@dataclass(frozen=True, kw_only=True)
class Beside:
    """How words are read beside one another."""

    telling: Telling
    window: int = 5  # words to either side, W; each position reaches 1 to W of them
    thin: float = 1e-4  # words more frequent than this are thinned out; 0: none is
    rows: int = 4_096  # positions of a batch, B
    sharing: int = 16  # positions that are told apart from the same noise, R
    noise: int = 16  # words of it, S
    seed: int = 1

    def __post_init__(self) -> None:
        if self.sharing < 1 or self.rows % self.sharing:
            raise ValueError(f"sharing must divide rows, {self.rows}, got {self.sharing}")

    def splits(self, corpus: Corpus, held_out: Corpus, counts: Ids) -> tuple["Windows", "Windows"]:
        """The texts to learn from, and those that choose."""
        return Windows(corpus, counts, self), Windows(held_out, counts, self, fixed=True)


class Windows:
    """Positions of a corpus with the words around them."""

    def __init__(self, corpus: Corpus, counts: Ids, config: Beside, *, fixed: bool = False) -> None:
        """Reads a corpus; one that is fixed is read alike in every pass."""
        self._corpus, self._config, self._fixed = corpus, config, fixed
        shares = counts / counts.sum()
        self._keep = kept_share(shares, config.thin)
        self._noise = np.cumsum(shares**NOISE_POWER)
        self._noise /= self._noise[-1]
        self._positions = max(config.rows, round(float(self._keep[corpus.ids].sum())))
        self._pass: tuple[int, Corpus, Ids] = (-1, corpus, corpus.ids)

    def __len__(self) -> int:
        return self._positions // self._config.rows

    def batch(self, step: int, shard: Shard) -> Batch:
        """Words read int64 [B / world, M], words told [B / world, K], and noise [B / R, S].

        M and K are 1 and 2W for skip-gram, 2W and 1 for a bag of words; places without a word
        are PADDING.
        """
        number, place = divmod(step, len(self))
        number = 0 if self._fixed else number
        if self._pass[0] != number:
            self._pass = (number, *self._thinned(number))
        _, corpus, order = self._pass
        rows = slice(place * self._config.rows, (place + 1) * self._config.rows)
        rng = np.random.default_rng([self._config.seed, number, place])
        centres, around = self._around(corpus, order[rows], rng)
        drawn = rng.random((self._config.rows // self._config.sharing, self._config.noise))
        noise = np.searchsorted(self._noise, drawn, side="right")
        read, told = centres[:, None], around
        if self._config.telling == "centre":
            told = np.where((around != PADDING).any(axis=1, keepdims=True), read, PADDING)
            read = around
        own = slice(shard.rank, None, shard.world)
        inputs = (read[own], told[own], noise)
        tensors = tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in inputs)
        return Batch(tensors, tensors[1], fresh=True)

    def _thinned(self, number: int) -> tuple[Corpus, Ids]:
        """The words that a pass reads, and its order of positions."""
        rng = np.random.default_rng([self._config.seed, number])
        kept = rng.random(len(self._corpus.ids)) < self._keep[self._corpus.ids]
        corpus = Corpus(self._corpus.ids[kept], self._corpus.owners[kept])
        order = rng.permutation(len(corpus.ids))
        # So many batches make every pass, however many words were kept.
        return corpus, np.resize(order, len(self) * self._config.rows)

    def _around(self, corpus: Corpus, places: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """The words at some places [B], and those around them [B, 2W]."""
        window = self._config.window
        offsets = np.array([n for n in range(-window, window + 1) if n])
        reach = rng.integers(1, window + 1, size=(len(places), 1))
        near = places[:, None] + offsets
        inside = (near >= 0) & (near < len(corpus.ids)) & (np.abs(offsets) <= reach)
        near = near.clip(0, len(corpus.ids) - 1)
        inside &= corpus.owners[near] == corpus.owners[places][:, None]
        return corpus.ids[places], np.where(inside, corpus.ids[near], PADDING)


def kept_share(shares: np.ndarray, thin: float) -> np.ndarray:
    """How many of a word's occurrences a pass reads: sqrt(t / f) + t / f, at most all."""
    if not thin:
        return np.ones_like(shares)
    rarity = thin / np.maximum(shares, 1e-12)
    return np.minimum(1.0, np.sqrt(rarity) + rarity)
