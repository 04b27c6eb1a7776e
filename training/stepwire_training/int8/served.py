"""Networks that graphs compute, to measure what will be served with the means of training.

B rows, T positions, S of a source, L layers, H hidden units, M memory, V scores.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stepwire_training import parity
from stepwire_training.models.encoder_decoder import Read
from stepwire_training.models.network import Network, State
from stepwire_training.models.translator import Translator
from stepwire_zoo.manifest import Graph


class StepNetwork(Network):
    """Tokens and states through a step graph."""

    def __init__(self, model: Network, graph: Graph, content: bytes) -> None:
        """Takes the place of a model, which still knows how a state starts and how to count."""
        super().__init__()
        self._model = model
        self._states = [state.input for state in graph.states]
        self._following = [state.output for state in graph.states]
        self._session = parity.session(content)

    def start(self, rows: int) -> State:
        """As the model's."""
        return self._model.start(rows)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores [B, T, V] after each of the tokens [B, T], and the last state."""
        states = [part.detach().numpy() for part in state]
        logits = []
        for position in tokens.numpy().T:
            feeds = dict(zip(self._states, states, strict=True))
            wanted = ["logits", *self._following]
            scores, *states = self._session.run(wanted, {"token": position, **feeds})
            logits.append(torch.from_numpy(scores))
        return torch.stack(logits, dim=1), tuple(map(torch.from_numpy, states))

    def tally(self, outputs: Any, targets: Tensor) -> Tensor:
        """As the model's."""
        return self._model.tally(outputs, targets)


class ServedTranslator(Translator):
    """A translator whose two graphs do the work."""

    def __init__(
        self, model: Translator, graphs: Mapping[str, Graph], contents: Mapping[str, bytes]
    ) -> None:
        """Takes the place of a model, of which the shape alone is used."""
        nn.Module.__init__(self)
        self.config = model.config
        self.combine = model.combine
        self._step = graphs["step"]
        self._contexts = [tensor.name for tensor in self._step.inputs if tensor.role == "context"]
        self._starts = [s.start for s in self._step.states if s.start != "zeros"]
        self._encoding = parity.session(contents["encode"])
        self._stepping = parity.session(contents["step"])

    def read(self, sources: Tensor, lengths: Tensor) -> Read:
        """Reads sources [B, S] of lengths [B]."""
        feeds = {"tokens": sources.numpy(), "lengths": lengths.numpy()}
        values = self._encoding.run([*self._contexts, *self._starts], feeds)
        found = list(map(torch.from_numpy, values))
        contexts = dict(zip(self._contexts, found, strict=False))
        inside = torch.arange(sources.shape[1]) < lengths.unsqueeze(1)
        return Read(contexts, inside, tuple(found[len(contexts) :]))

    def write(self, tokens: Tensor, read: Read, state: State) -> tuple[Tensor, Tensor, State]:
        """Reads tokens [B, T]: logits [B, T, V], attention [B, T, S] and the next state.

        Every row is a group of its own.
        """
        rows = np.arange(len(tokens))
        seen = {"rows": rows[:, None], "places": rows}
        seen["lengths"] = read.inside.sum(dim=1).expand(len(rows)).numpy()
        seen |= {name: read.contexts[name].contiguous().numpy() for name in self._contexts}
        states = [part.numpy() for part in state]
        names = [s.input for s in self._step.states]
        wanted = ["logits", "attention", *(s.output for s in self._step.states)]
        told: list[list[NDArray[np.float32]]] = []
        for token in tokens.numpy().T:
            feeds = dict(zip(names, states, strict=True))
            *outputs, states = _cut(self._stepping.run(wanted, {"token": token, **seen, **feeds}))
            told.append(outputs)
        logits, attention = (torch.from_numpy(np.stack(x, axis=1)) for x in zip(*told, strict=True))
        return logits, attention, tuple(map(torch.from_numpy, states))


def _cut(given: list[Any]) -> tuple[Any, Any, list[Any]]:
    """Logits, attention, and the states behind them."""
    logits, attention, *states = given
    return logits, attention, states
