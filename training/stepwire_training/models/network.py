"""What every architecture offers, so that one loop trains them all."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from stepwire_training.data.batches import PADDING, Batches

State = tuple[Tensor, ...]


class Network(nn.Module):
    """Reads inputs and a state; answers with outputs, mostly logits, and the next state."""

    def start(self, rows: int) -> State:
        """The state before the first input; batch is axis 0 of each part."""
        raise NotImplementedError

    def begin_from(self, vectors: Any) -> None:
        """Takes what the data knows beforehand, such as word vectors [V, E]."""
        raise NotImplementedError

    def settle(self, text: Batches) -> None:
        """Chooses, on text that chose the weights, what is not learned step by step."""
        del text

    def optimizer(self, weight_decay: float) -> Optimizer:
        """What moves the weights; the loop sets its rate before every step."""
        return torch.optim.AdamW(self.parameters(), betas=(0.9, 0.99), weight_decay=weight_decay)

    def told(self, *inputs: Tensor) -> dict[str, Tensor]:
        """What its graph gives beside states, by the names of the outputs."""
        outputs, _ = self(*inputs, ())
        return {"logits": outputs}

    def loss(self, outputs: Any, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Mean nats of the targets; what training makes less of.

        Args:
            outputs: what `forward` gave: logits [..., V], unless the model says otherwise.
            targets: int64 [...].
            smoothing: of the labels.
        """
        logits = outputs.float().flatten(0, -2)
        return functional.cross_entropy(logits, targets.flatten(), label_smoothing=smoothing)

    def tally(self, outputs: Any, targets: Tensor) -> Tensor:
        """Sums over the targets that count: nats, hits, and how many they are: float64 [3]."""
        real = targets.flatten() != PADDING
        scores, wanted = outputs.float().flatten(0, -2)[real], targets.flatten()[real]
        nats = functional.cross_entropy(scores, wanted, reduction="sum")
        hits = (scores.argmax(dim=-1) == wanted).sum()
        return torch.stack([nats.double(), hits.double(), torch.tensor(len(wanted)).double()])
