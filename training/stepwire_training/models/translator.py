"""An encoder that reads a source both ways, and a decoder that writes while looking at it.

B rows, S positions of the source, T of the target, L decoder layers, H their units,
E embedding, M memory (both directions of the encoder), V tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stepwire_training.models.attention import Attention, Kind
from stepwire_training.models.dropout import LockedDropout
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.encoder_decoder import EncoderDecoder, Read
from stepwire_training.models.network import State
from stepwire_training.models.recurrent import STATES, Cell, RecurrentLayer
from stepwire_training.models.wording import both_ways, layers

FEED = "feed"  # the state that carries the last `out`, with input feeding


class Translator(EncoderDecoder):
    """Reads sources and scores every next token of their translations.

    The first decoder layer queries the attention; the layers above it read what was found,
    so that they know what was said already (as in GNMT, Wu et al. 2016), and so do the
    scores: out = tanh(W [h; context]), Luong et al. (2015, equation 5).
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Shape and regularisation."""

        encoder: Encoder.Config
        cell: Cell = "lstm"
        layers: int = 2
        hidden: int = 512
        attention: Kind = "general"
        input_feeding: bool = False  # the first layer also reads the last `out`
        tied: bool = True  # the scores use the embedding of the tokens
        own_choices: float = 0.0  # share of training inputs that are its own; needs feeding
        layer_dropout: float = 0.0  # between layers, one mask per row
        output_dropout: float = 0.0  # before the scores, one mask per row

        @property
        def architecture(self) -> str:
            """What it is built of, in words."""
            encoder = self.encoder
            reads = both_ways(encoder.layers, encoder.cell, encoder.hidden)
            writes = layers(self.layers, self.cell, self.hidden)
            return f"encoder of {reads}; decoder of {writes} with {self.attention} attention"

        def build(self, vocabulary: int, labels: int, sources: int = 0) -> "Translator":
            """A model with fresh weights; sources may have a vocabulary of their own."""
            del labels
            return Translator(self, vocabulary, sources)

    def __init__(self, config: Config, vocabulary: int, sources: int = 0) -> None:
        super().__init__()
        if config.own_choices and not config.input_feeding:
            raise ValueError("own_choices needs input_feeding: else no position waits for another")
        self.config = config
        size, memory = config.encoder.embedding, 2 * config.encoder.hidden
        self.encoder = Encoder(config.encoder, sources or vocabulary)
        self.own_embedding = nn.Embedding(vocabulary, size) if sources else None
        self.bridges = nn.ModuleList(
            nn.Linear(memory, config.layers * config.hidden) for _ in STATES[config.cell]
        )
        fed = size if config.input_feeding else 0
        widths = [size + fed] + [config.hidden + memory] * (config.layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(config.cell, width, config.hidden) for width in widths
        )
        self.attention = Attention(config.attention, config.hidden, memory)
        self.combine = nn.Linear(config.hidden + memory, size)
        self.before_layers = LockedDropout(config.encoder.embedding_dropout)
        self.between = LockedDropout(config.layer_dropout)
        self.before_output = LockedDropout(config.output_dropout)
        self.output = nn.Linear(size, vocabulary)
        if config.tied:
            self.output.weight = self.embedding.weight
        nn.init.zeros_(self.output.bias)
        if self.own_embedding is not None:
            nn.init.normal_(self.own_embedding.weight, std=0.1)

    @property
    def embedding(self) -> nn.Embedding:
        """That of the translations: the encoder's, unless each language has its own."""
        return self.own_embedding or self.encoder.embedding

    def begin_from(self, vectors: Tensor) -> None:
        """Puts word vectors [V, E] into the embedding of the translations."""
        self.embedding.weight.data.copy_(vectors)

    def state_names(self) -> Sequence[str]:
        """Those of the cells, and of what is fed."""
        return [*STATES[self.config.cell], *([FEED] if self.config.input_feeding else [])]

    def begun_names(self) -> Sequence[str]:
        """Those of the cells."""
        return STATES[self.config.cell]

    def read(self, sources: Tensor, lengths: Tensor) -> Read:
        """Reads sources [B, S] of lengths [B]: memory [B, S, M] and, where they differ, keys."""
        ahead, back = self.encoder(sources, lengths)
        inside = torch.arange(sources.shape[1]) < lengths.unsqueeze(1)
        memory = torch.cat([ahead, back], dim=2) * inside.unsqueeze(2)
        last = (lengths - 1)[:, None, None].expand(-1, 1, ahead.shape[2])
        ends = torch.cat([ahead.gather(1, last)[:, 0], back[:, 0]], dim=1)  # [B, M]
        shape = (len(sources), self.config.layers, self.config.hidden)
        start = tuple(torch.tanh(bridge(ends)).view(shape).float() for bridge in self.bridges)
        contexts = {"memory": memory}
        if self.attention.of_memory is not None:
            contexts["keys"] = self.attention.keys(memory)
        return Read(contexts, inside, start)

    def begin(self, read: Read) -> State:
        """The state before the first token: [B, L, H] each, and [B, E] with input feeding."""
        if not self.config.input_feeding:
            return read.start
        return (*read.start, read.start[0].new_zeros(len(read.inside), self.combine.out_features))

    def write(self, tokens: Tensor, read: Read, state: State) -> tuple[Tensor, Tensor, State]:
        """Reads tokens [B, T] and scores what follows each.

        Returns:
            Logits [B, T, V], attention [B, T, S], and the next state.
        """
        x = self.before_layers(self.embedding(tokens))
        if not self.config.input_feeding:
            out, weights, state = self._steps(x, read, state)
            return self.output(self.before_output(out)), weights, state
        outs: list[Tensor] = []
        feed, seen = state[-1], []
        state = state[:-1]
        for position in range(tokens.shape[1]):
            given = self._chosen(x[:, position], outs)
            fed = torch.cat([given, feed.to(x.dtype)], dim=1).unsqueeze(1)
            out, weights, state = self._steps(fed, read, state)
            feed = out[:, 0]
            outs.append(out)
            seen.append(weights)
        out = torch.cat(outs, dim=1)
        return self.output(self.before_output(out)), torch.cat(seen, dim=1), (*state, feed.float())

    def _chosen(self, given: Tensor, outs: list[Tensor]) -> Tensor:
        """What a position reads, [B, E]: what is given, or now and then the model's own choice.

        Scheduled sampling (Bengio et al., 2015) at a constant rate, while training.
        """
        if not (self.training and self.config.own_choices and outs):
            return given
        with torch.no_grad():
            own = self.output(outs[-1][:, 0]).argmax(dim=-1)  # [B]
        draws = torch.rand(len(own), 1) < self.config.own_choices
        return torch.where(draws, self.embedding(own).to(given.dtype), given)

    def _steps(self, x: Tensor, read: Read, state: State) -> tuple[Tensor, Tensor, State]:
        """Runs the layers over x [B, T, *]; answers out [B, T, E], attention, next state."""
        ends: list[State] = []
        context = weights = x
        for index, layer in enumerate(self.recurrent_layers()):
            x = torch.cat([self.between(x), context], dim=2) if index else x
            x, end = layer(x, tuple(part[:, index] for part in state))
            ends.append(end)
            if index == 0:
                memory = read.contexts["memory"]
                keys = read.contexts.get("keys", memory)
                context, weights = self.attention(x, keys, memory, read.inside)
        out = torch.tanh(self.combine(torch.cat([self.between(x), context], dim=2)))
        state = tuple(torch.stack(part, dim=1) for part in zip(*ends, strict=True))
        return out, weights, state

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The decoder's layers, in the order they read."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def linear_bridges(self) -> list[nn.Linear]:
        """What the encoder's ends cross to become the decoder's states, one for each."""
        return [bridge for bridge in self.bridges if isinstance(bridge, nn.Linear)]
