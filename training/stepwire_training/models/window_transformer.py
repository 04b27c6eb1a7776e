"""A small causal transformer that looks back over a window of tokens, whatever was before.

Every layer sees the W last tokens, the newest with them, by keys and values that are carried
from chunk to chunk. How far back each is, is learned: a vector for every distance, which queries
meet as they meet keys (Shaw et al., 2018), and a number for every head. Text that has left the
window is out of sight of a layer; through L layers a token can still bear on what comes
L x (W - 1) tokens later.

B rows, T positions, E values of a token, G heads, D = E / G, W the window, V tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from stepwire_training.models.network import Network, State
from stepwire_training.models.transformer import Layer, Sizes
from stepwire_training.models.wording import counted


class Seen(NamedTuple):
    """What a layer carries on: the W - 1 tokens before the next."""

    keys: Tensor  # [B, G, W - 1, D]
    values: Tensor  # [B, G, W - 1, D]


class WindowTransformer(Network):
    """Reads tokens and scores the token after each."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        embedding: int  # values of a token, throughout
        layers: int
        heads: int
        wide: int  # values in the middle of what each token computes by itself
        window: int  # tokens that each layer looks at, the newest with them
        layer_dropout: float = 0.0  # on what each part adds

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            return (
                f"causal transformer, {counted(self.layers, 'layer')} of {self.heads} heads, "
                f"{self.embedding} values a token, a window of {self.window} tokens"
            )

        @property
        def reach(self) -> int:
            """How many of the last tokens bear on a prediction, the newest with them."""
            return self.layers * (self.window - 1) + 1

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "WindowTransformer":
            """A model with fresh weights."""
            del labels, sources
            return WindowTransformer(self, vocabulary)

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.2)
        self.layers = nn.ModuleList(WindowLayer(config) for _ in range(config.layers))
        self.last = nn.LayerNorm(config.embedding)
        self.output = nn.Linear(config.embedding, vocabulary)

    def parts(self) -> list["WindowLayer"]:
        """The layers, in the order they compute."""
        return [layer for layer in self.layers if isinstance(layer, WindowLayer)]

    def start(self, rows: int) -> State:
        """Before any token: keys and values of every layer, and how many of them are tokens."""
        empty = [part for layer in self.parts() for part in layer.start(rows)]
        return (*empty, torch.zeros(rows, 1, dtype=torch.int64))

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores every next token.

        Args:
            tokens: int64 [B, T].
            state: keys and values [B, G, W - 1, D] of each layer, and how many of these places
                hold a token, int64 [B, 1].

        Returns:
            Logits [B, T, V], and the state after the last token.
        """
        *carried, held = state
        hidden = hidden_places(held, tokens.shape[1], self.config.window)
        x = self.embedding(tokens)
        following: list[Tensor] = []
        for layer, keys, values in zip(self.parts(), carried[::2], carried[1::2], strict=True):
            x, seen = layer.read(x, Seen(keys, values), hidden)
            following += seen
        held = (held + tokens.shape[1]).clamp(max=self.config.window - 1)
        return self.output(self.last(x)), (*following, held)


def hidden_places(held: Tensor, positions: int, window: int) -> Tensor:
    """What each position does not look at.

    Args:
        held: how many tokens the window holds before the first of them, int64 [B, 1].
        positions: T.
        window: W.

    Returns:
        bool [B, 1, T, W - 1 + T].
    """
    before = window - 1
    position = torch.arange(positions).unsqueeze(1)
    place = torch.arange(before + positions)
    apart = (place < position) | (place > position + before)  # [T, W - 1 + T]
    empty = place < before - held  # [B, W - 1 + T]
    return apart | empty[:, None, None]


class WindowSizes(Sizes, Protocol):
    """What a layer with a window must know of itself."""

    @property
    def window(self) -> int:
        """Tokens that it looks at, the newest with them."""
        ...


class WindowLayer(Layer):
    """A layer that looks at the last tokens only; each part adds to what a token was."""

    def __init__(self, config: WindowSizes) -> None:
        super().__init__(config)
        each = config.embedding // config.heads
        self.window = config.window
        # By place in the window, the oldest first: the last is the token itself.
        self.places = nn.Parameter(torch.zeros(config.heads, config.window, each))
        self.lean = nn.Parameter(torch.zeros(config.heads, config.window))

    def start(self, rows: int) -> Seen:
        """Nothing is seen yet."""
        empty = self.places.new_zeros(rows, self.heads, self.window - 1, self.places.shape[2])
        return Seen(empty, empty)

    def read(self, x: Tensor, seen: Seen, hidden: Tensor) -> tuple[Tensor, Seen]:
        """Takes tokens in.

        Args:
            x: [B, T, E].
            seen: before.
            hidden: what each position does not look at, bool [B, 1, T, W - 1 + T].

        Returns:
            [B, T, E], and what is seen afterwards.
        """
        x, seen = self.look_back(x, seen, hidden)
        return self.think(x), seen

    def look_back(self, x: Tensor, seen: Seen, hidden: Tensor) -> tuple[Tensor, Seen]:
        """The first half of it: what the window adds to each token."""
        found, seen = self._look(self.before_looking(x), seen, hidden)
        return x + self.drop(found), seen

    def _look(self, x: Tensor, seen: Seen, hidden: Tensor) -> tuple[Tensor, Seen]:
        rows, positions, size = x.shape
        by_head = self.asks(x).view(rows, positions, 3, self.heads, size // self.heads)
        queries, keys, values = by_head.permute(2, 0, 3, 1, 4).float()  # [B, G, T, D] each
        keys = torch.cat([seen.keys, keys], dim=2)  # [B, G, W - 1 + T, D]
        values = torch.cat([seen.values, values], dim=2)
        queries = queries / math.sqrt(size // self.heads)
        # Many small products: bfloat16 only costs there.
        with torch.autocast("cpu", enabled=False):
            by_place = queries @ self.places.transpose(1, 2) + self.lean.unsqueeze(1)
            scores = queries @ keys.transpose(2, 3) + slanted(by_place)
            shares = scores.masked_fill(hidden, -math.inf).softmax(dim=3)
            found = shares @ values  # [B, G, T, D]
        kept = Seen(*(part[:, :, -(self.window - 1) :] for part in (keys, values)))
        return self.told(found.transpose(1, 2).flatten(2)), kept


def slanted(by_place: Tensor) -> Tensor:
    """Moves each position's numbers to where its window begins.

    Args:
        by_place: [B, G, T, W], by place in the window.

    Returns:
        [B, G, T, W - 1 + T], of position t in columns t to t + W - 1, zeros beside them.
    """
    rows, heads, positions, _ = by_place.shape
    wide = functional.pad(by_place, (0, positions))  # [B, G, T, W + T]
    # One column less a row, and every row begins one column further to the right.
    return wide.flatten(2)[..., :-positions].view(rows, heads, positions, -1)


def state_names(layers: int) -> Sequence[str]:
    """What the parts of a state are called, in their order."""
    return [f"{part}{index}" for index in range(layers) for part in ("keys", "values")] + ["held"]
