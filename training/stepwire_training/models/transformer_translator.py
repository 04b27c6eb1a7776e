"""A small transformer that reads a source whole and writes with a window (Vaswani et al., 2017).

Its encoder's tokens look at one another, wherever they stand. Each layer of the decoder looks back
over the last W tokens that were written (see window_transformer), then at the source, then thinks.
What a layer compares with the source's tokens and takes from them depends on the source alone, so
it is computed once, by the encoder: keys and values of every layer of the decoder.

B rows, S positions of the source, T of the target, E values of a token, G heads, D = E / G,
W the window, V tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.encoder_decoder import EncoderDecoder, Read
from stepwire_training.models.network import State
from stepwire_training.models.text_classifier import inside
from stepwire_training.models.transformer import Layer, places
from stepwire_training.models.window_transformer import (
    Seen,
    WindowLayer,
    WindowSizes,
    hidden_places,
    state_names,
)
from stepwire_training.models.wording import counted


class TransformerTranslator(EncoderDecoder):
    """Reads sources and scores every next token of what is written about them."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        embedding: int  # values of a token, throughout; both sides and the scores share a table
        encoder_layers: int
        layers: int  # of the decoder
        heads: int
        wide: int  # values in the middle of what each token computes by itself
        window: int  # written tokens that each layer looks at, the newest with them
        embedding_dropout: float = 0.0
        layer_dropout: float = 0.0  # on what each part adds

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            reads = counted(self.encoder_layers, "transformer layer")
            return (
                f"encoder of {reads}, decoder of {counted(self.layers, 'layer')} with a window of "
                f"{self.window} tokens; {self.heads} heads, {self.embedding} values a token"
            )

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "TransformerTranslator":
            """A model with fresh weights; both sides must share a vocabulary."""
            del labels
            if sources:
                raise ValueError(f"sources must have no vocabulary of their own, got {sources}")
            return TransformerTranslator(self, vocabulary)

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.encoder = nn.ModuleList(Layer(config) for _ in range(config.encoder_layers))
        self.read_last = nn.LayerNorm(config.embedding)
        self.layers = nn.ModuleList(AskingLayer(config) for _ in range(config.layers))
        self.last = nn.LayerNorm(config.embedding)
        self.after_embedding = nn.Dropout(config.embedding_dropout)
        self.output = nn.Linear(config.embedding, vocabulary)
        self.output.weight = self.embedding.weight
        nn.init.zeros_(self.output.bias)

    def reading(self) -> list[Layer]:
        """The encoder's layers, in the order they compute."""
        return [layer for layer in self.encoder if isinstance(layer, Layer)]

    def writing(self) -> list["AskingLayer"]:
        """The decoder's layers, in the order they compute."""
        return [layer for layer in self.layers if isinstance(layer, AskingLayer)]

    def state_names(self) -> Sequence[str]:
        """Those of the windows, and of how many of their places hold a token."""
        return state_names(self.config.layers)

    def begun_names(self) -> Sequence[str]:
        """None: whatever is said of a source, the window is empty at first."""
        return ()

    def read(self, sources: Tensor, lengths: Tensor) -> Read:
        """Reads sources [B, S] of lengths [B]: keys and values [B, S, E] of each layer."""
        within = inside(lengths, sources.shape[1])  # [B, S]
        size = self.config.embedding
        x = self.after_embedding(self._embedded(sources) + places(sources.shape[1], size))
        for layer in self.reading():
            x = layer(x, within)
        x = self.read_last(x)
        contexts: dict[str, Tensor] = {}
        for index, layer in enumerate(self.writing()):
            for name, part in zip(asked_names(index), layer.of_source(x).chunk(2, 2), strict=True):
                contexts[name] = torch.where(within.unsqueeze(2), part.float(), 0.0)
        return Read(contexts, within, ())

    def begin(self, read: Read) -> State:
        """The state before the first token: keys, values, and how many of them are tokens."""
        rows = len(read.inside)
        empty = [part for layer in self.writing() for part in layer.start(rows)]
        return (*empty, torch.zeros(rows, 1, dtype=torch.int64))

    def write(self, tokens: Tensor, read: Read, state: State) -> tuple[Tensor, Tensor, State]:
        """Reads tokens [B, T] and scores what follows each.

        Returns:
            Logits [B, T, V], attention [B, T, S] of the last layer, the mean of its heads, and
            the next state.
        """
        *carried, held = state
        positions, window = tokens.shape[1], self.config.window
        hidden = hidden_places(held, positions, window)
        x = self.after_embedding(self._embedded(tokens))
        following: list[Tensor] = []
        shares = x
        for index, layer in enumerate(self.writing()):
            x, seen = layer.look_back(x, Seen(*carried[2 * index : 2 * index + 2]), hidden)
            keys, values = (read.contexts[name] for name in asked_names(index))
            found, shares = layer.ask(layer.before_asking(x), Seen(keys, values), read.inside)
            x = layer.think(x + layer.drop(found))
            following += seen
        held = (held + positions).clamp(max=window - 1)
        return self.output(self.last(x)), shares.mean(dim=1), (*following, held)

    def _embedded(self, tokens: Tensor) -> Tensor:
        """Embeddings begin small; places are of the size of 1."""
        return self.embedding(tokens) * math.sqrt(self.config.embedding)


class AskingLayer(WindowLayer):
    """A layer that looks back over a window, then at the source."""

    def __init__(self, config: WindowSizes) -> None:
        super().__init__(config)
        size = config.embedding
        self.before_asking = nn.LayerNorm(size)
        self.asks_source = nn.Linear(size, size)
        self.of_source = nn.Linear(size, 2 * size)  # keys, values
        self.told_source = nn.Linear(size, size)

    def ask(self, x: Tensor, source: Seen, within: Tensor) -> tuple[Tensor, Tensor]:
        """Looks at the source.

        Args:
            x: [B, T, E].
            source: its keys and values, [B, S, E] each.
            within: which positions are the source's own, bool [B, S].

        Returns:
            What was found [B, T, E], and how each head weighed the source [B, G, T, S].
        """
        queries, keys, values = (
            part.float().unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, G, *, D]
            for part in (self.asks_source(x), *source)
        )
        with torch.autocast("cpu", enabled=False):
            scores = queries @ keys.transpose(2, 3) / math.sqrt(queries.shape[3])
            unseen = ~within[:, None, None]  # [B, 1, 1, S]
            shares = scores.masked_fill(unseen, -math.inf).softmax(dim=3)
            found = (shares @ values).transpose(1, 2).flatten(2)  # [B, T, E]
        return self.told_source(found), shares


def asked_names(layer: int) -> tuple[str, str]:
    """What the keys and values are called that a layer of the decoder finds of a source."""
    return f"source_keys{layer}", f"source_values{layer}"
