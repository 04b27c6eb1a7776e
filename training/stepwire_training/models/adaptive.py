"""Many words, read and scored by how common they are.

Rare words are learned from few places and need few numbers each: the vocabulary, commonest
first, is cut into classes, and each class has vectors a quarter as wide as the one before. A
word is read and scored by the same vector. After Grave et al. (2016, "Efficient softmax
approximation for GPUs") and Baevski and Auli (2018, "Adaptive input representations").

V words, C rare classes, F words of the frequent class, E values of a frequent word, M texts'
positions.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

NARROWER = 4  # times, from class to class


class RareWords(nn.Module):
    """One class of words that are not frequent."""

    def __init__(self, first: int, end: int, size: int, narrow: int) -> None:
        """Begins with fresh weights.

        Args:
            first: number of the class's first word.
            end: number behind its last.
            size: E.
            narrow: values of a word here.
        """
        super().__init__()
        self.first, self.end = first, end
        self.vectors = nn.Parameter(torch.empty(end - first, narrow).uniform_(-0.1, 0.1))
        self.widen = nn.Linear(narrow, size, bias=False)
        self.narrow = nn.Linear(size, narrow, bias=False)

    def holds(self, words: Tensor) -> Tensor:
        """Which of some words are of this class."""
        return (words >= self.first) & (words < self.end)

    def read(self, words: Tensor) -> Tensor:
        """Vectors [M, E] of words [M] of this class."""
        read: Tensor = self.widen(functional.embedding(words - self.first, self.vectors))
        return read

    def score(self, x: Tensor) -> Tensor:
        """Logits of the class's words among themselves: [M, E] to [M, end - first]."""
        return functional.linear(self.narrow(x), self.vectors)


class AdaptiveWords(nn.Module):
    """The words of a language model: its first layer and its last."""

    def __init__(self, vocabulary: int, size: int, cuts: tuple[int, ...]) -> None:
        """Begins with fresh weights.

        Args:
            vocabulary: V, the commonest word first.
            size: E.
            cuts: numbers of the words with which rarer classes begin, rising.
        """
        super().__init__()
        self.frequent = cuts[0]
        # Of the frequent words and, behind them, of each class as a whole.
        self.head = nn.Linear(size, cuts[0] + len(cuts))
        nn.init.uniform_(self.head.weight, -0.1, 0.1)
        self.rare = nn.ModuleList(
            RareWords(first, end, size, size // NARROWER**number)
            for number, (first, end) in enumerate(pairwise((*cuts, vocabulary)), start=1)
        )

    def classes(self) -> list[RareWords]:
        """The classes of rare words, the least rare first."""
        return [each for each in self.rare if isinstance(each, RareWords)]

    def tables(self) -> list[Tensor]:
        """The vectors of the words of each class."""
        return [self.head.weight, *(each.vectors for each in self.classes())]

    def read(self, words: Tensor) -> Tensor:
        """Vectors of words: [B, T] to [B, T, E]."""
        flat = words.flatten()
        read = functional.embedding(flat.clamp(max=self.frequent - 1), self.head.weight)
        for each in self.classes():
            places = each.holds(flat).nonzero().squeeze(1)
            read = read.index_copy(0, places, each.read(flat[places]).to(read.dtype))
        return read.view(*words.shape, -1)

    def nats(self, x: Tensor, words: Tensor) -> Tensor:
        """What words cost, float32 [M], without the scores of all: x [M, E], words [M]."""
        with torch.autocast("cpu", x.dtype, enabled=x.dtype != torch.float32):
            wanted = words
            for number, each in enumerate(self.classes()):
                wanted = torch.where(each.holds(words), self.frequent + number, wanted)
            nats = functional.cross_entropy(self.head(x).float(), wanted, reduction="none")
            for each in self.classes():
                places = each.holds(words).nonzero().squeeze(1)
                scores = each.score(x[places]).float()
                among = functional.cross_entropy(
                    scores, words[places] - each.first, reduction="none"
                )
                nats = nats.index_add(0, places, among)
        return nats

    def scores(self, x: Tensor) -> Tensor:
        """Logarithms of the probabilities of all words: [..., E] to float32 [..., V]."""
        head = self.head(x).float().log_softmax(dim=-1)
        parts = [head[..., : self.frequent]]
        for number, each in enumerate(self.classes()):
            of_class = head[..., self.frequent + number, None]
            parts.append(of_class + each.score(x).float().log_softmax(dim=-1))
        return torch.cat(parts, dim=-1)
