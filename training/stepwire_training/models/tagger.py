"""A bidirectional recurrent tagger over words and their characters.

B rows, T positions, C characters of a word, A known characters, V words, E values of a word,
D of a character, F filters of one width, M rows of the table of pairs, I features of a word,
H hidden units of one direction, L labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stepwire_training.data import writing
from stepwire_training.data.pairs import pair_numbers
from stepwire_training.models.dropout import LockedDropout, TokenDropout
from stepwire_training.models.encoder import backwards_index, reorder
from stepwire_training.models.network import Network, State
from stepwire_training.models.recurrent import RecurrentLayer
from stepwire_training.models.wording import both_ways


class Spelling(nn.Module):
    """Features of a word from its characters: what filters of several widths find in it."""

    def __init__(self, characters: int, size: int, widths: tuple[int, ...], filters: int) -> None:
        super().__init__()
        self.widths = widths
        self.embedding = nn.Parameter(torch.randn(characters, size) * 0.1)
        self.part_embedding = nn.Parameter(torch.randn(writing.PARTS, size) * 0.1)
        self.made_of = nn.Parameter(torch.zeros(characters, writing.PARTS), requires_grad=False)
        self.filters = nn.ModuleList(nn.Linear(width * size, filters) for width in widths)

    def linear_filters(self) -> list[nn.Linear]:
        """The filters of each width."""
        return [filters for filters in self.filters if isinstance(filters, nn.Linear)]

    def characters(self) -> Tensor:
        """What stands for each character: its own and its parts' embeddings, [A, D]."""
        return self.embedding + self.made_of @ self.part_embedding

    def forward(self, characters: Tensor) -> Tensor:
        """Reads words.

        Args:
            characters: int64 [..., C], padded with zeros behind each word.

        Returns:
            [..., F x widths].
        """
        shape = characters.shape
        flat, places = torch.unique(characters.reshape(-1, shape[-1]), dim=0, return_inverse=True)
        table = self.characters()
        found = [
            self._found(functional.embedding(around(flat, width), table), filters, width)
            for width, filters in zip(self.widths, self.linear_filters(), strict=True)
        ]
        features = torch.cat(found, dim=1)[places]
        return features.reshape(*shape[:-1], -1)

    @staticmethod
    def _found(x: Tensor, filters: nn.Module, width: int) -> Tensor:
        """The most that each filter finds in words x [W, C + width - 1, D]: [W, F]."""
        windows = x.unfold(1, width, 1).transpose(2, 3).flatten(2)  # [W, C, width x D]
        return torch.relu(filters(windows).amax(dim=1))


def around(characters: Tensor, width: int) -> Tensor:
    """Pads words at both ends, so that every character is once in the middle of a window."""
    before = (width - 1) // 2
    return functional.pad(characters, (before, width - 1 - before))


class BothWays(nn.Module):
    """A layer that reads in both directions."""

    def __init__(self, inputs: int, hidden: int, weight_dropout: float) -> None:
        super().__init__()
        self.ahead = RecurrentLayer("lstm", inputs, hidden, weight_dropout)
        self.back = RecurrentLayer("lstm", inputs, hidden, weight_dropout)

    def forward(self, x: Tensor, turned: Tensor) -> Tensor:
        """Reads rows x [B, T, I]; turned [B, T] is their order from the end. [B, T, 2H]."""
        ahead, _ = self.ahead(x, self.ahead.start(len(x)))
        back, _ = self.back(reorder(x, turned), self.back.start(len(x)))
        return torch.cat([ahead, reorder(back, turned)], dim=2)


class Tagger(Network):
    """Reads a sentence both ways and scores the labels of every word."""

    directions = 2  # in which a layer reads

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        layers: int
        hidden: int  # units of each direction
        learned: int  # the commonest words, whose embeddings are learned; others share one
        embedding: int  # values that are learned of a word
        vectors: int  # values of a word that are fixed
        character: int  # values of a character, D
        widths: tuple[int, ...]  # of the filters
        filters: int  # of each width, F
        pairs: int = 0  # rows of the fixed vectors of a word and its neighbour, M; 0: none
        word_dropout: float = 0.0  # share of words whose own embedding is hidden
        input_dropout: float = 0.0  # one mask per row
        layer_dropout: float = 0.0  # between layers, one mask per row
        weight_dropout: float = 0.0  # on recurrent weights, one mask per batch
        output_dropout: float = 0.0

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return f"{both_ways(self.layers, 'lstm', self.hidden)} over {self.read}"

        @property
        def read(self) -> str:
            """What the layers read, in words."""
            pairs = " (single and in pairs)" if self.pairs else ""
            return f"embeddings, fixed vectors{pairs} and filters of characters"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "Tagger":
            """A model with fresh weights; `sources` are the known characters."""
            return Tagger(self, vocabulary, labels, sources)

    def __init__(self, config: Config, vocabulary: int, labels: int, characters: int) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(min(config.learned, vocabulary), config.embedding)
        nn.init.normal_(self.words.weight, std=0.1)
        self.vectors = nn.Parameter(torch.zeros(vocabulary, config.vectors), requires_grad=False)
        self.spelling = Spelling(characters, config.character, config.widths, config.filters)
        self.pairs = nn.Parameter(torch.zeros(config.pairs, config.vectors), requires_grad=False)
        fixed = config.vectors * (3 if config.pairs else 1)
        width = config.embedding + fixed + config.filters * len(config.widths)
        read = self.directions * config.hidden
        sizes = [width] + [read] * (config.layers - 1)
        self.layers = nn.ModuleList(self.layer(size) for size in sizes)
        self.hide = TokenDropout(config.word_dropout)
        self.before_layers = LockedDropout(config.input_dropout)
        self.between = LockedDropout(config.layer_dropout)
        self.before_output = nn.Dropout(config.output_dropout)
        self.output = nn.Linear(read, labels)

    def layer(self, inputs: int) -> nn.Module:
        """A layer of the kind that reads the features of words."""
        return BothWays(inputs, self.config.hidden, self.config.weight_dropout)

    def start(self, rows: int) -> State:
        """A sentence is tagged whole: there is no state to carry."""
        del rows
        return ()

    def begin_from(self, vectors: Sequence[Tensor | None]) -> None:
        """Takes vectors, scaled to what the layers expect, and characters' parts.

        Args:
            vectors: of words [V, E], parts of characters, perhaps vectors of pairs [M, E].
        """
        places = (self.vectors, self.spelling.made_of, self.pairs)
        for place, given in zip(places, vectors, strict=False):
            if given is not None:
                scale = 1.0 if place is self.spelling.made_of else 0.5 / given.std()
                place.data.copy_(given * scale)

    def both_ways(self) -> list[BothWays]:
        """The layers, in the order they read."""
        return [layer for layer in self.layers if isinstance(layer, BothWays)]

    def likeliest(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """The tags of sentences, logits [B, T, L]: of each word the likeliest."""
        tags = logits.argmax(dim=2).tolist()
        return [row[:length] for row, length in zip(tags, lengths.tolist(), strict=True)]

    def own(self, tokens: Tensor) -> Tensor:
        """Which learned embedding a word has: that of the unknown, 0, if it is not common."""
        return torch.where(tokens < self.words.num_embeddings, tokens, 0)

    def forward(
        self, tokens: Tensor, characters: Tensor, lengths: Tensor, state: State
    ) -> tuple[Any, State]:
        """Scores the labels of every word.

        Args:
            tokens: the words, int64 [B, T], padded behind each row's length.
            characters: their characters, int64 [B, T, C], padded behind each word.
            lengths: int64 [B], at least 1.
            state: empty.

        Returns:
            Logits [B, T, L], and the empty state.
        """
        return self.output(self.before_output(self.read(tokens, characters, lengths))), state

    def read(self, tokens: Tensor, characters: Tensor, lengths: Tensor) -> Tensor:
        """What the layers make of every word, inputs as those of `forward`: [B, T, 2H]."""
        turned = backwards_index(lengths, tokens.shape[1])  # [B, T]
        x = self.before_layers(self.features(tokens, characters, lengths))
        for index, layer in enumerate(self.both_ways()):
            x = layer(self.between(x) if index else x, turned)
        return x

    def features(self, tokens: Tensor, characters: Tensor, lengths: Tensor) -> Tensor:
        """What is known of each word before any other is read, and of its neighbours: [B, T, I]."""
        parts = [
            self.hide(self.words(self.own(tokens))),
            functional.embedding(tokens, self.vectors),
            self.spelling(characters),
        ]
        if self.config.pairs:
            parts += self._of_pairs(tokens, lengths)
        return torch.cat(parts, dim=2)

    def _of_pairs(self, tokens: Tensor, lengths: Tensor) -> list[Tensor]:
        """Vectors of each word with the one before and the one behind it, [B, T, E] each."""
        inside = torch.arange(tokens.shape[1]) < lengths.unsqueeze(1)
        around = functional.pad(torch.where(inside, tokens, 0), (1, 1))
        numbers = pair_numbers(around[:, :-1], around[:, 1:], self.config.pairs)  # [B, T + 1]
        found = functional.embedding(numbers, self.pairs)
        return [found[:, :-1], found[:, 1:]]
