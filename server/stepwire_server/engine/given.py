"""What one run of the cell gave the sessions in it.

What callers make of it is made for all rows at once, and only if somebody asks. Shapes:
N rows, V vocabulary or labels, * what else a tensor has.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stepwire_server.decoding.filters import log_softmax, log_sum_exp
from stepwire_server.engine.layout import Layout
from stepwire_server.engine.slots import State
from stepwire_server.engine.sources import Arrays


class Given:
    """Outputs by role, and the states that follow."""

    def __init__(
        self, outputs: Arrays, states: State, layout: Layout, at: float, batch: int
    ) -> None:
        """Takes the rows of a step that belong to sessions.

        Args:
            outputs: by role, [N, *] each; not written to later.
            states: that follow, by name, [N, *] each.
            layout: of a packed state.
            at: when the step was over, of the engine's clock.
            batch: rows of the run, those of others with them.
        """
        self.outputs = outputs
        self.states = states
        self.at = at
        self.batch = batch
        self._layout = layout

    @cached_property
    def logprobs(self) -> NDArray[np.float64]:
        """Natural logarithms of the probabilities, [N, V]."""
        return log_softmax(self.outputs["logits"])

    @cached_property
    def likeliest(self) -> list[tuple[int, float]]:
        """What is likeliest in each row, of equals the first, and its log-probability. [N]."""
        logits = self.outputs["logits"]
        best = logits.argmax(axis=-1).tolist()
        above = log_sum_exp(logits).tolist()
        return [(t, logits.item(n, t) - above[n]) for n, t in enumerate(best)]

    @cached_property
    def entropies(self) -> list[float]:
        """Of the distributions, in nats, [N]."""
        weighed = np.exp(self.logprobs) * self.logprobs
        entropies: list[float] = (-weighed.sum(axis=-1)).tolist()
        return entropies

    def packed(self, place: int) -> bytes:
        """The state that follows in one row."""
        if self.batch == 1:  # of a caller who is alone
            return self._layout.pack_row(self.states)
        return self._packed[place].tobytes()

    @cached_property
    def _packed(self) -> NDArray[np.uint8]:
        return self._layout.pack_rows(self.states)
