"""Our layers against torch.nn's, and padding against none."""

import pytest
import torch
from torch import nn

from stepwire_training.models.recurrent import STATES, RecurrentLayer

PEERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@pytest.mark.parametrize("cell", PEERS)
def test_a_layer_computes_what_torch_nn_does(cell):
    layer = RecurrentLayer(cell, inputs=5, hidden=7)
    peer = PEERS[cell](5, 7, batch_first=True)
    peer.load_state_dict({f"{name}_l0": part for name, part in layer.state_dict().items()})
    x = torch.randn(3, 4, 5)

    ours, state = layer(x, layer.start(3))
    theirs, _ = peer(x)

    assert torch.allclose(ours, theirs, atol=1e-6)
    assert len(state) == len(STATES[cell])
    assert torch.equal(state[0], ours[:, -1])


@pytest.mark.parametrize("cell", PEERS)
def test_chunks_that_carry_their_state_equal_the_whole(cell):
    layer = RecurrentLayer(cell, inputs=5, hidden=7)
    x = torch.randn(3, 9, 5)
    whole, _ = layer(x, layer.start(3))
    first, state = layer(x[:, :4], layer.start(3))
    second, _ = layer(x[:, 4:], state)

    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-6)


def test_weights_are_dropped_while_training_only():
    layer = RecurrentLayer("lstm", inputs=5, hidden=7, weight_dropout=0.5)
    x = torch.randn(3, 4, 5)

    def run():
        return layer(x, layer.start(3))[0]

    assert not torch.equal(run(), run())
    layer.eval()
    assert torch.equal(run(), run())
