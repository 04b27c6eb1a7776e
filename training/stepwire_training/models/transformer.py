"""A small transformer encoder: every token looks at every other (Vaswani et al., 2017).

B rows, T positions, E values of a token, G heads. Norms stand before what they are for
(Xiong et al., 2020), which learns without a slow beginning.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from stepwire_training.models.text_classifier import TextClassifier, inside
from stepwire_training.models.wording import counted


class Transformer(TextClassifier):
    """Reads a text at once, averages over its positions, scores the labels."""

    @dataclass(frozen=True, kw_only=True)
    class Config(TextClassifier.Config):
        """Shape and regularisation; tokens keep the size of their embedding throughout."""

        layers: int
        heads: int
        wide: int  # values in the middle of what each token computes by itself
        layer_dropout: float = 0.0  # on what each part adds

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            read = counted(self.layers, "transformer layer")
            return f"{read} of {self.embedding} values, {self.heads} heads, averaged over the text"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "Transformer":
            """A model with fresh weights."""
            del sources
            return Transformer(self, vocabulary, labels)

    def __init__(self, config: Config, vocabulary: int, labels: int) -> None:
        super().__init__(config, vocabulary, (config.embedding, labels))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.last = nn.LayerNorm(config.embedding)

    def parts(self) -> list["Layer"]:
        """The layers, in the order they compute."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The mean over each text: x [B, T, E] to [B, E]."""
        within = inside(lengths, x.shape[1])  # [B, T]
        size = x.shape[2]
        # Embeddings begin small; places are of the size of 1.
        x = x * math.sqrt(size) + places(x.shape[1], size)
        for layer in self.parts():
            x = layer(x, within)
        total = torch.where(within.unsqueeze(2), self.last(x), 0.0).sum(dim=1)
        return total / lengths.unsqueeze(1).to(total.dtype)


class Sizes(Protocol):
    """What a layer must know of itself."""

    @property
    def embedding(self) -> int:
        """Values of a token."""
        ...

    @property
    def heads(self) -> int:
        """Parts of a token that look around by themselves."""
        ...

    @property
    def wide(self) -> int:
        """Values in the middle of what each token computes by itself."""
        ...

    @property
    def layer_dropout(self) -> float:
        """On what each part adds."""
        ...


class Layer(nn.Module):
    """Looks around, then thinks by itself; each adds to what a token was."""

    def __init__(self, config: Sizes) -> None:
        super().__init__()
        size = config.embedding
        self.heads = config.heads
        self.before_looking = nn.LayerNorm(size)
        self.asks = nn.Linear(size, 3 * size)  # queries, keys, values
        self.told = nn.Linear(size, size)
        self.before_thinking = nn.LayerNorm(size)
        self.widen = nn.Linear(size, config.wide)
        self.narrow = nn.Linear(config.wide, size)
        self.drop = nn.Dropout(config.layer_dropout)

    def forward(self, x: Tensor, within: Tensor) -> Tensor:
        """X [B, T, E] and which positions are text, bool [B, T], to [B, T, E]."""
        return self.think(x + self.drop(self.look(self.before_looking(x), within)))

    def think(self, x: Tensor) -> Tensor:
        """What each token [B, T, E] becomes by itself."""
        wide = torch.relu(self.widen(self.before_thinking(x)))
        return x + self.drop(self.narrow(wide))

    def look(self, x: Tensor, within: Tensor) -> Tensor:
        """Attention of every position to those of the text: [B, T, E]."""
        rows, positions, size = x.shape
        by_head = self.asks(x).view(rows, positions, 3, self.heads, size // self.heads)
        queries, keys, values = by_head.permute(2, 0, 3, 1, 4).float()  # [B, G, T, E / G] each
        # Many products so small that bfloat16 only costs; PyTorch's fused attention, which is
        # made for long texts, takes twice as long for all that a step does.
        with torch.autocast("cpu", enabled=False):
            scores = queries @ keys.transpose(2, 3) / math.sqrt(size // self.heads)
            unseen = ~within[:, None, None]  # [B, 1, 1, T]
            shares = scores.masked_fill(unseen, -math.inf).softmax(dim=3)  # [B, G, T, T]
            found = shares @ values
        return self.told(found.transpose(1, 2).flatten(2))


def places(positions: int, size: int) -> Tensor:
    """Sines and cosines that tell a position (Vaswani et al., 2017), [T, size]; size is even."""
    angles = torch.arange(positions).unsqueeze(1) * rates(size)  # [T, size / 2]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def rates(size: int) -> Tensor:
    """How far each sine turns from a position to the next, in radians: [size / 2]."""
    return torch.exp(torch.arange(0, size, 2) * (-math.log(10_000.0) / size))
