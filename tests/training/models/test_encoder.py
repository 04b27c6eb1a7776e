"""Padding shows in no direction, against PyTorch's packed sequences."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from stepwire_training.models.encoder import Encoder, backwards_index


@pytest.fixture
def encoder():
    return Encoder(Encoder.Config(layers=2, hidden=6, embedding=5), vocabulary=9).eval()


def packed_peer(encoder: Encoder, tokens, lengths):
    """The same weights in nn.LSTM layers that read packed sequences, one direction each."""
    outputs = []
    for stack, reverse in ((encoder.forwards, False), (encoder.backwards, True)):
        x = encoder.embedding(tokens)
        for layer in stack:
            x = one_packed_layer(layer, x, lengths, reverse)
        outputs.append(x)
    return outputs


def one_packed_layer(layer, x, lengths, reverse):
    peer = nn.LSTM(x.shape[2], layer.hidden, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name, part in layer.state_dict().items():
            getattr(peer, f"{name}_l0{'_reverse' if reverse else ''}").copy_(part)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    y, _ = pad_packed_sequence(peer(packed)[0], batch_first=True)
    return y[..., layer.hidden :] if reverse else y[..., : layer.hidden]


def test_it_equals_packed_sequences_in_both_directions(encoder):
    tokens, lengths = torch.randint(9, (4, 7)), torch.tensor([7, 1, 4, 6])
    inside = torch.arange(7) < lengths.unsqueeze(1)

    for ours, theirs in zip(
        encoder(tokens, lengths), packed_peer(encoder, tokens, lengths), strict=True
    ):
        assert torch.allclose(ours[inside], theirs[inside], atol=1e-6)


@pytest.mark.parametrize("length", [1, 3, 7])
def test_what_stands_in_the_padding_changes_nothing(encoder, length):
    lengths = torch.tensor([length])
    tokens = torch.randint(9, (1, 7))
    other = tokens.clone()
    other[:, length:] = 8

    for first, second in zip(encoder(tokens, lengths), encoder(other, lengths), strict=True):
        assert torch.equal(first[:, :length], second[:, :length])


def test_a_text_is_turned_round_inside_its_own_length():
    assert backwards_index(torch.tensor([3, 1]), 4).tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]
