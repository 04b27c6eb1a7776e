"""Sentences with their translations, cut into batches.

B rows, S tokens of a source, T tokens of a target.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from stepwire_training.data import tokens
from stepwire_training.data.batches import (
    PADDING,
    Batch,
    Dataset,
    Pair,
    Shard,
    Translations,
    by_length,
)
from stepwire_training.data.splitting import Ids, Splitting, parts, take_apart

EVALUATION_ROWS = 128
LONGEST = 100  # tokens of either side that are learned from


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """How sentences become tokens, and tokens batches."""

    vocabulary: int  # special tokens left out
    source_vocabulary: int = 0  # of the source language alone; 0: both share the other
    units: tokens.Units = "syllables"  # how Hangul is written
    rows: int  # pairs of a batch
    take_apart: float = 0.0  # share of BPE tokens split at random while training
    seed: int  # mixes the pairs anew each pass


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The pairs of a data set."""

    train: list[Pair]
    dev: list[Pair]
    tests: dict[str, list[Pair]]  # by name; the first is the one that is published


def dataset(splits: Splits, cutting: Cutting, cut: str = "13a", *, free: bool = False) -> Dataset:
    """Cuts the splits.

    Args:
        splits: the pairs.
        cutting: how they are cut.
        cut: how sacrebleu cuts the targets into words.
        free: whether many targets would do for a source.
    """
    both = tokenizers(splits.train, cutting)
    tokenizer = both.target
    test = next(iter(splits.tests.values()))
    train = PairTexts(splits.train, both, cutting.rows, cutting.seed, cutting.take_apart)
    facts: dict[str, float] = {"training pairs": len(train.pairs), "dev pairs": len(splits.dev)}
    return Dataset(
        tokenizer=tokenizer,
        labels=(),
        train=train,
        dev=PairTexts(splits.dev, both, EVALUATION_ROWS),
        test=PairTexts(test, both, EVALUATION_ROWS),
        facts=facts | {f"pairs of {name}": len(pairs) for name, pairs in splits.tests.items()},
        translations=Translations(
            tokenizer=tokenizer,
            source_tokenizer=both.source,
            begin=tokens.id_of(tokenizer, tokens.BEGIN),
            end=tokens.id_of(tokenizer, tokens.END),
            unknown=tokens.id_of(tokenizer, tokens.UNKNOWN),
            dev=splits.dev,
            tests=splits.tests,
            cut=cut,
            free=free,
        ),
    )


class Tokenizers(NamedTuple):
    """How each side is cut; one and the same where both share a vocabulary."""

    source: Tokenizer
    target: Tokenizer


def tokenizers(pairs: Sequence[Pair], cutting: Cutting) -> Tokenizers:
    """Grows the vocabularies from training pairs."""
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    own = cutting.source_vocabulary
    # Side by side, as they are read: the order decides among equally frequent merges.
    texts = targets if own else [text for pair in pairs for text in pair]
    grown = tokens.byte_pairs(texts, cutting.units, cutting.vocabulary, apart=True)
    target = tokens.with_specials(grown, tokens.BEGIN, tokens.END)
    if not own:
        return Tokenizers(target, target)
    return Tokenizers(tokens.byte_pairs(sources, cutting.units, own, apart=True), target)


class PairTexts:
    """Pairs batched with others of about their length."""

    POOL = 50  # batches sorted by length together

    def __init__(
        self,
        pairs: Sequence[Pair],
        both: Tokenizers,
        rows: int,
        seed: int | None = None,
        apart: float = 0.0,
    ) -> None:
        """Keeps the pairs; a seed mixes them anew each pass, None keeps them by length."""
        self._rows, self._seed = rows, seed
        self._splittings = [Splitting(parts(tokenizer), apart) for tokenizer in both]
        self._begin = tokens.id_of(both.target, tokens.BEGIN)
        self._end = tokens.id_of(both.target, tokens.END)
        sources = encode([pair.source for pair in pairs], both.source)
        targets = encode([pair.target for pair in pairs], both.target)
        # Where nothing is learned, everything is measured.
        self.pairs = [
            (source, target)
            for source, target in zip(sources, targets, strict=True)
            if seed is None
            or (
                min(len(source), len(target)) > 0
                and len(target) <= LONGEST
                and len(source) <= LONGEST
            )
        ]
        self._lengths = np.array([len(t) + 1e-3 * len(s) for s, t in self.pairs])
        self._order: tuple[int, list[Ids]] = (-1, [])

    def __len__(self) -> int:
        return -(-len(self.pairs) // self._rows)

    def batch(self, step: int, shard: Shard) -> Batch:
        """Pairs of a step: sources [B, S], lengths [B], target inputs and targets [B, T]."""
        number, place = divmod(step, len(self))
        if self._order[0] != number:
            rng = None if self._seed is None else np.random.default_rng([self._seed, number])
            order = by_length(self._lengths, self._rows, self.POOL, rng)
            self._order = (number, order)
        chosen = self._order[1][place]
        chosen = chosen[shard.rank :: shard.world] if len(chosen) >= shard.world else chosen
        pairs = self._varied([self.pairs[index] for index in chosen], step, shard)
        sources, lengths = padded([source for source, _ in pairs])
        begun, _ = padded([np.concatenate([[self._begin], target]) for _, target in pairs])
        ended, _ = padded([np.concatenate([target, [self._end]]) for _, target in pairs], PADDING)
        return Batch((sources, lengths, begun), ended, fresh=True)

    def _varied(
        self, pairs: list[tuple[Ids, Ids]], step: int, shard: Shard
    ) -> list[tuple[Ids, Ids]]:
        """The pairs of a batch, their tokens taken apart if that is wanted."""
        of_source, of_target = self._splittings
        if self._seed is None or of_target.rate == 0.0:
            return pairs
        rng = np.random.default_rng([self._seed, step, shard.rank])
        return [(take_apart(s, of_source, rng), take_apart(t, of_target, rng)) for s, t in pairs]


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[Ids]:
    """Token ids of every text."""
    return [np.array(e.ids, dtype=np.int64) for e in tokenizer.encode_batch(list(texts))]


def padded(rows: Sequence[Ids], filler: int = 0) -> tuple[Tensor, Tensor]:
    """Rows as int64 [B, S] with a filler behind each, and their lengths [B]."""
    texts = [torch.from_numpy(row) for row in rows]
    lengths = torch.tensor([len(row) for row in rows])
    return torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=filler), lengths


def plain(text: str) -> str:
    """A sentence less case, punctuation and spacing: what makes two the same."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())
