"""Ways for a recurrent layer to begin, beside RecurrentLayer's own. H hidden units."""

import torch
from torch import Tensor, nn

from stepwire_training.models.recurrent import RecurrentLayer


def spread_gates(layer: RecurrentLayer, longest: int) -> None:
    """Gives the cells of an LSTM memories of all lengths up to `longest` steps.

    Chrono initialisation (Tallec and Ollivier, 2018): a forget gate of bias log(t - 1) that hears
    nothing forgets in about t steps, and its input gate takes in as little as it lets go. The steps
    are drawn uniformly, as in the paper; RecurrentLayer.remember draws their logarithm so.
    """
    forgets = torch.empty(layer.hidden).uniform_(1, longest - 1).log()
    _gates(layer)[:2].copy_(torch.stack([-forgets, forgets]))


def close_gates(layer: RecurrentLayer) -> None:
    """Lets the forget gates of an LSTM begin half open, as if nobody had thought of them."""
    _gates(layer)[1].zero_()


def draw_uniformly(layer: RecurrentLayer) -> None:
    """Draws recurrent weights from +-1 / sqrt(H), as torch.nn.RNN does."""
    nn.init.uniform_(layer.weight_hh, -(layer.hidden**-0.5), layer.hidden**-0.5)


def _gates(layer: RecurrentLayer) -> Tensor:
    """Biases of an LSTM's input, forget, cell and output gates, [4, H]."""
    assert layer.cell == "lstm"
    return layer.bias_ih.data.view(4, layer.hidden)
