"""A classifier that says which words it looked at.

B rows, T positions, V words, E values that are learned of a word, F that are fixed, H hidden
units of one direction, A units that words are weighed by, R readers, C labels.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stepwire_training.models.dropout import LockedDropout, TokenDropout
from stepwire_training.models.encoder import backwards_index
from stepwire_training.models.network import Network, State
from stepwire_training.models.tagger import BothWays
from stepwire_training.models.wording import both_ways

MOST = 127  # multiples that a byte holds, to either side


class AttentionPool(nn.Module):
    """Weighs the positions of a text by what is found there, and takes their mean.

    The word attention of Yang et al. (2016, section 2.2): a position x scores
    `score . tanh(W x + b)`, and a softmax over the text's own positions makes weights of that.
    """

    def __init__(self, size: int, units: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, units)
        self.score = nn.Parameter(torch.empty(units))
        nn.init.uniform_(self.score, -0.1, 0.1)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Looks at texts.

        Args:
            x: [B, T, 2H].
            lengths: int64 [B].

        Returns:
            What was found, [B, 2H], and the weights of the positions, float32 [B, T], zeros
            behind each text.
        """
        scores = torch.tanh(self.project(x)) @ self.score.to(x.dtype)  # [B, T]
        inside = torch.arange(x.shape[1]) < lengths.unsqueeze(1)
        weights = scores.float().masked_fill(~inside, -1e9).softmax(dim=1)
        return (weights.to(x.dtype).unsqueeze(1) @ x).squeeze(1), weights


def quanta(vectors: Tensor) -> Tensor:
    """Of what the values of fixed vectors [V, F] are multiples, -127 to 127 times: [F].

    Powers of two, so that a multiple is exact in half precision too. Of vectors that are
    multiples already it is the same again.
    """
    largest = vectors.abs().amax(dim=0).clamp(min=torch.finfo(torch.half).tiny)
    return torch.exp2(torch.ceil(torch.log2(largest / MOST)))


class Reader(nn.Module):
    """Reads a text both ways, looks at what matters, scores the labels."""

    def __init__(self, config: "AttentiveClassifier.Config", labels: int) -> None:
        super().__init__()
        self.words = nn.Embedding(config.learned, config.embedding)
        nn.init.normal_(self.words.weight, std=0.1)
        sizes = [config.embedding + config.vectors] + [2 * config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(
            BothWays(size, config.hidden, config.weight_dropout) for size in sizes
        )
        self.pool = AttentionPool(2 * config.hidden, config.units)
        self.hide = TokenDropout(config.word_dropout)
        self.before_layers = LockedDropout(config.input_dropout)
        self.between = LockedDropout(config.layer_dropout)
        self.before_output = nn.Dropout(config.output_dropout)
        self.output = nn.Linear(2 * config.hidden, labels)

    def both_ways(self) -> list[BothWays]:
        """The layers, in the order they read."""
        return [layer for layer in self.layers if isinstance(layer, BothWays)]

    def own(self, tokens: Tensor) -> Tensor:
        """Which learned embedding a word has: that of the unknown, 0, if it is not common."""
        return torch.where(tokens < self.words.num_embeddings, tokens, 0)

    def forward(self, tokens: Tensor, known: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Judges texts.

        Args:
            tokens: the words, int64 [B, T], padded behind each row's length.
            known: their fixed vectors, [B, T, F].
            lengths: int64 [B], at least 1.

        Returns:
            Logits [B, C], and the weights of the words, float32 [B, T].
        """
        turned = backwards_index(lengths, tokens.shape[1])  # [B, T]
        learned = self.hide(self.words(self.own(tokens)))
        x = self.before_layers(torch.cat([learned, known], dim=2))
        for index, layer in enumerate(self.both_ways()):
            x = layer(self.between(x) if index else x, turned)
        found, weights = self.pool(x, lengths)
        return self.output(self.before_output(found)), weights


class AttentiveClassifier(Network):
    """Several readers, whose logits and whose attention are averaged.

    They share the fixed vectors of words and nothing else, and each learns from a loss of its
    own, so that they err in different places (an ensemble, in one graph).
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        readers: int
        layers: int  # of each reader
        hidden: int  # units of each direction
        learned: int  # the commonest words, whose embeddings are learned; others share one
        embedding: int  # values that are learned of a word
        vectors: int  # values of a word that are fixed
        units: int  # that words are weighed by
        word_dropout: float = 0.0  # share of words whose own embedding is hidden
        input_dropout: float = 0.0  # one mask per row
        layer_dropout: float = 0.0  # between layers, one mask per row
        weight_dropout: float = 0.0  # on recurrent weights, one mask per batch
        output_dropout: float = 0.0  # on what was found

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            layers = both_ways(self.layers, "lstm", self.hidden)
            return f"{self.readers} times {layers}, each with attention over the words"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "AttentiveClassifier":
            """A model with fresh weights."""
            del sources
            return AttentiveClassifier(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.config = config
        self.vectors = nn.Parameter(torch.zeros(vocabulary, config.vectors), requires_grad=False)
        self.readers = nn.ModuleList(Reader(config, labels) for _ in range(config.readers))

    def start(self, rows: int) -> State:
        """A text is judged whole: there is no state to carry."""
        del rows
        return ()

    def begin_from(self, vectors: Tensor) -> None:
        """Takes words' vectors [V, F], scaled to what the layers expect and rounded to bytes."""
        scaled = vectors * (0.5 / vectors.std())
        quantum = quanta(scaled)
        self.vectors.data.copy_(torch.round(scaled / quantum) * quantum)

    def each_reader(self) -> list[Reader]:
        """The readers."""
        return [reader for reader in self.readers if isinstance(reader, Reader)]

    def judge(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What each reader makes of whole texts.

        Args:
            tokens: the words, int64 [B, T], padded behind each row's length.
            lengths: int64 [B], at least 1.

        Returns:
            Logits [B, R, C], and the weights of the words, float32 [B, R, T].
        """
        known = functional.embedding(tokens, self.vectors)
        judged = [reader(tokens, known, lengths) for reader in self.each_reader()]
        return (
            torch.stack([logits for logits, _ in judged], dim=1),
            torch.stack([weights for _, weights in judged], dim=1),
        )

    def told(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The means of what the readers say: logits [B, C] and attention [B, T]."""
        logits, weights = self.judge(*inputs)
        return {"logits": logits.mean(dim=1), "attention": weights.mean(dim=1)}

    def forward(self, tokens: Tensor, lengths: Tensor, state: State) -> tuple[Tensor, State]:
        """The logits of each reader [B, R, C]; the rest is as in `judge`."""
        return self.judge(tokens, lengths)[0], state

    def loss(self, outputs: Any, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean of the readers' own losses, outputs [B, R, C] and targets [B]."""
        everyone = targets.unsqueeze(1).expand(-1, outputs.shape[1])  # [B, R]
        return super().loss(outputs, everyone, smoothing)

    def tally(self, outputs: Any, targets: Tensor) -> Tensor:
        """What counts is what they say together, outputs [B, R, C]."""
        return super().tally(outputs.float().mean(dim=1), targets)
