"""Vectors of words: by telling neighbours from noise, or from counts of neighbours.

V words, G parts of words, P numbers that a word is made of, E values of a vector, B rows, R of
them that share S words of noise, T numbers of a row of words as they are served.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from stepwire_training.data.batches import PADDING
from stepwire_training.eight_bits import in_8_bits
from stepwire_training.models.network import Network, State

SHORTEST = 1e-12  # length from which a vector has a direction


class WordVectors(Network):
    """Vectors of words, however they are learned."""

    words: int  # V
    parts: int  # G
    int8 = False  # whether they are published in 8 bits a value

    def start(self, rows: int) -> State:
        """Words have no state."""
        del rows
        return ()

    def optimizer(self, weight_decay: float) -> Optimizer:
        """Adagrad (Duchi et al., 2011): a row that is rarely read keeps its high rate.

        Adam would move a rare row as far as a common one each time that it is read, and for ten
        steps after: such rows learn the last place that they stood in.
        """
        return torch.optim.Adagrad(self.parameters(), weight_decay=weight_decay)

    def table(self) -> Tensor:
        """The vectors of all words, then those of all parts, [V + G, E]."""
        raise NotImplementedError

    def published(self) -> Tensor:
        """The same, rounded to how it is stored: what is measured and served."""
        table = self.table().detach()
        if self.int8:
            return torch.from_numpy(in_8_bits(table.numpy()).widened())
        return table.half().float()


class Table(Network):
    """Vectors as they are served: looked up, and compared with those of all words."""

    def __init__(self, table: Tensor, words: int) -> None:
        """Keeps vectors.

        Args:
            table: those of all words, then those of all parts, [V + G, E].
            words: V.
        """
        super().__init__()
        self.table, self.units = table, unit(table[:words])

    def told(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Vectors [N, E] of rows [N, T] of lengths [N], and their cosines with all words [N, V]."""
        tokens, lengths = inputs
        rows = zip(tokens, lengths.tolist(), strict=True)
        vectors = torch.stack([self.table[row[:length]].mean(dim=0) for row, length in rows])
        return {"vector": vectors, "cosines": unit(vectors) @ self.units.T}


class NoiseContrast(WordVectors):
    """Tells the words around a word, or the word that words stand around, from noise.

    Skip-gram and bag of words with negative sampling (Mikolov et al., 2013); they differ in what
    their batches hold. What is read may be made of parts (Bojanowski et al., 2017).
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape."""

        size: int  # values of a vector, E
        negatives: float = 5.0  # words of noise for each pair, k
        made_of: int = 1  # numbers that a word is made of at most, P

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            parts = " of words, and of their parts" if self.made_of > 1 else " of words"
            return f"a table of vectors of {self.size} values{parts}"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "NoiseContrast":
            """A model with fresh vectors; `sources` are the parts of words."""
            del labels
            return NoiseContrast(self, vocabulary, sources)

    def __init__(self, config: Config, words: int, parts: int) -> None:
        super().__init__()
        self.config, self.words, self.parts = config, words, parts
        # The last row is that of nothing: it fills what a word is made of.
        self.inputs = nn.Parameter((torch.rand(words + parts + 1, config.size) - 0.5) / config.size)
        self.outputs = nn.Parameter(torch.zeros(words, config.size))
        self.made_of: Tensor
        itself = torch.full((words, config.made_of), words + parts)
        itself[1:, 0] = torch.arange(1, words)
        self.register_buffer("made_of", itself)

    def begin_from(self, vectors: Any) -> None:
        """Takes what words are made of, int64 [V, P or fewer]."""
        made_of = torch.as_tensor(vectors)
        self.made_of.fill_(self.words + self.parts)
        self.made_of[:, : made_of.shape[1]] = made_of

    def table(self) -> Tensor:
        """A word is the mean of what it is made of."""
        of_words = self._composed(torch.arange(self.words))
        return torch.cat([of_words, self.inputs[self.words : self.words + self.parts]])

    def forward(
        self, read: Tensor, told: Tensor, noise: Tensor, state: State
    ) -> tuple[tuple[Tensor, Tensor], State]:
        """Scores pairs.

        Args:
            read: words, int64 [B, M], PADDING where there is none.
            told: words, int64 [B, K], the same.
            noise: words, int64 [B / R, S], each row of them for R of the others.
            state: empty.

        Returns:
            Scores of the pairs of a row [B, K] and of the row beside its noise [B, S]; and the
            empty state.
        """
        here = read != PADDING
        # A common word stands in many rows, and is put together once.
        words, places = torch.unique(read[here], return_inverse=True)
        x = self._composed(words)
        owners = torch.arange(len(read)).repeat_interleave(here.sum(dim=1))
        if read.shape[1] == 1:
            x = x.index_select(0, places)
        else:
            total = x.new_zeros(len(read), x.shape[1]).index_add(
                0, owners, x.index_select(0, places)
            )
            x = total / here.sum(dim=1, keepdim=True).clamp(min=1)
        beside = functional.embedding(told.clamp(min=0), self.outputs)  # [B, K, E]
        pairs = torch.bmm(beside, x[:, :, None])[:, :, 0]
        apart = functional.embedding(noise, self.outputs)  # [B / R, S, E]
        sharing = x.view(len(noise), -1, x.shape[1])  # [B / R, R, E]
        return (pairs, torch.bmm(sharing, apart.transpose(1, 2)).flatten(0, 1)), state

    def loss(self, outputs: Any, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean nats of a pair and the noise beside it."""
        del smoothing
        nats, _, count = self._counted(outputs, targets)
        return nats / count

    def tally(self, outputs: Any, targets: Tensor) -> Tensor:
        """Sums over the pairs: nats, pairs that are taken for such, and how many: float64 [3]."""
        return torch.stack([part.double() for part in self._counted(outputs, targets)])

    def _counted(self, outputs: tuple[Tensor, Tensor], targets: Tensor) -> tuple[Tensor, ...]:
        pairs, noise = outputs
        real = targets != PADDING  # [B, K]
        each = self.config.negatives / noise.shape[1]
        beside = functional.softplus(noise).sum(dim=1) * real.sum(dim=1) * each
        nats = (functional.softplus(-pairs) * real).sum() + beside.sum()
        return nats, ((pairs > 0) & real).sum(), real.sum().clamp(min=1)

    def _composed(self, words: Tensor) -> Tensor:
        """The vectors of some words, [N, E]."""
        if self.config.made_of == 1:
            return self.inputs.index_select(0, self.made_of[words, 0])
        return functional.embedding_bag(
            self.made_of[words], self.inputs, mode="mean", padding_idx=self.words + self.parts
        )


class CountFitting(WordVectors):
    """Vectors whose products are logarithms of counts: GloVe (Pennington et al., 2014)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape, and how much a count matters."""

        size: int  # values of a vector, E
        enough: float = 10.0  # a count from which it matters no more
        power: float = 0.75  # how much less a smaller one does

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"a table of vectors of {self.size} values of words"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "CountFitting":
            """A model with fresh vectors; words are whole."""
            del labels, sources
            return CountFitting(self, vocabulary)

    def __init__(self, config: Config, words: int) -> None:
        super().__init__()
        self.config, self.words, self.parts = config, words, 0
        self.sides = nn.ParameterList(
            (torch.rand(words, config.size) - 0.5) / config.size for _ in range(2)
        )
        self.biases = nn.ParameterList(torch.zeros(words) for _ in range(2))

    def table(self) -> Tensor:
        """A word is the sum of what it is on either side; the unknown one is nothing."""
        left, right = self.sides
        known = torch.arange(self.words)[:, None] > 0
        return (left + right) * known

    def forward(self, left: Tensor, right: Tensor, state: State) -> tuple[Tensor, State]:
        """What the logarithms of the counts of pairs, int64 [B] each, are taken to be: [B]."""
        a, b = (
            functional.embedding(words, side)
            for words, side in zip((left, right), self.sides, strict=True)
        )
        of_left, of_right = self.biases
        return (a * b).sum(dim=1) + of_left[left] + of_right[right], state

    def loss(self, outputs: Any, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean square of what is missing to the logarithm of a count, [B], weighted."""
        del smoothing
        return self._errors(outputs, targets).mean()

    def tally(self, outputs: Any, targets: Tensor) -> Tensor:
        """Sums over the pairs: weighted squares, twice, and how many: float64 [3]."""
        errors = self._errors(outputs, targets).sum().double()
        return torch.stack([errors, errors, torch.tensor(float(len(targets))).double()])

    def _errors(self, found: Tensor, counts: Tensor) -> Tensor:
        weights = (counts / self.config.enough).clamp(max=1.0) ** self.config.power
        return weights * (found - counts.log()).square()


def unit(vectors: Tensor) -> Tensor:
    """Vectors [..., E] of length one; one of nothing stays so."""
    return functional.normalize(vectors, dim=-1, eps=SHORTEST)
