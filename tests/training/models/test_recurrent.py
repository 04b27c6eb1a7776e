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


def test_cells_that_are_to_remember_keep_what_they_hold_for_so_many_steps():
    torch.manual_seed(1)
    layer = RecurrentLayer("lstm", 3, 2_000)
    layer.remember(100)
    layer.weight_ih.data.zero_()
    layer.weight_hh.data.zero_()
    held = torch.ones(1, 2_000)
    _, (_, after) = layer(torch.zeros(1, 1, 3), (torch.zeros(1, 2_000), held))
    kept_for = 1 / (1 - after[0])  # steps until 1/e is left, about

    assert kept_for.min() < 2.2
    assert 90 < kept_for.max() <= 101.1
    assert 9 < kept_for.median() < 13  # as many quick ones as slow ones, in orders of magnitude
