"""The translator against loops over single cells, and what must not leak into it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator

CONFIG = Translator.Config(
    encoder=Encoder.Config(layers=1, hidden=3, embedding=5), layers=2, hidden=6
)
SOURCES = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
LENGTHS = torch.tensor([4, 2])
BEGUN = torch.tensor([[7, 1, 2], [7, 3, 8]])


def model_of(**changes) -> Translator:
    torch.manual_seed(1)
    return replace(CONFIG, **changes).build(9, 0).eval()


def cell_of(layer) -> nn.LSTMCell:
    cell = nn.LSTMCell(layer.weight_ih.shape[1], layer.hidden)
    cell.load_state_dict(dict(layer.named_parameters()))
    return cell


def run_cell(layer, inputs, state):
    """Every output of one LSTM layer over single vectors, and its last state."""
    cell, outputs = cell_of(layer), []
    for x in inputs:
        state = cell(x.unsqueeze(0), state)
        outputs.append(state[0][0])
    return outputs, state


def written_down(model: Translator, source, begun):
    """Logits of one pair: one vector after another, as the papers have it."""
    zeros = (torch.zeros(1, 3), torch.zeros(1, 3))
    embedded = [model.encoder.embedding.weight[token] for token in source]
    ahead, _ = run_cell(model.encoder.forwards[0], embedded, zeros)
    back, _ = run_cell(model.encoder.backwards[0], embedded[::-1], zeros)
    memory = [torch.cat(both) for both in zip(ahead, back[::-1], strict=True)]
    ends = torch.cat([ahead[-1], back[-1]])
    starts = [torch.tanh(bridge(ends)).view(2, 6) for bridge in model.bridges]
    states = [tuple(start[index : index + 1] for start in starts) for index in range(2)]
    cells = [cell_of(layer) for layer in model.layers]
    feed, logits = torch.zeros(5), []
    for token in begun:
        x = model.encoder.embedding.weight[token]
        x = torch.cat([x, feed]) if model.config.input_feeding else x
        states[0] = cells[0](x.unsqueeze(0), states[0])
        query = states[0][0][0]
        scores = torch.stack([query @ (model.attention.of_memory.weight @ m) for m in memory])
        context = sum(w * m for w, m in zip(scores.softmax(dim=0), memory, strict=True))
        states[1] = cells[1](torch.cat([query, context]).unsqueeze(0), states[1])
        feed = torch.tanh(model.combine(torch.cat([states[1][0][0], context])))
        logits.append(model.encoder.embedding.weight @ feed + model.output.bias)
    return torch.stack(logits)


@pytest.mark.parametrize("feeding", [False, True])
def test_it_computes_what_loops_over_cells_do(feeding):
    model = model_of(input_feeding=feeding)
    logits, _ = model(SOURCES, LENGTHS, BEGUN, ())

    for row, length in enumerate(LENGTHS):
        wanted = written_down(model, SOURCES[row, :length], BEGUN[row])
        torch.testing.assert_close(logits[row], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("feeding", [False, True])
def test_padding_and_neighbours_change_nothing(cell, feeding):
    encoder = replace(CONFIG.encoder, cell=cell)
    model = model_of(encoder=encoder, cell=cell, input_feeding=feeding)
    together, _ = model(SOURCES, LENGTHS, BEGUN, ())
    alone, _ = model(SOURCES[1:, :2], LENGTHS[1:], BEGUN[1:], ())

    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=1e-5)


def test_no_position_sees_what_comes_after_it():
    model = model_of()
    logits, _ = model(SOURCES, LENGTHS, BEGUN, ())
    changed, _ = model(SOURCES, LENGTHS, BEGUN.clone().index_fill_(1, torch.tensor([2]), 4), ())

    assert torch.equal(logits[:, :2], changed[:, :2])
    assert not torch.equal(logits[:, 2], changed[:, 2])


def test_tied_scores_use_the_embedding():
    model = model_of()
    assert model.output.weight is model.encoder.embedding.weight
    assert model_of(tied=False).output.weight.shape == (9, 5)


def test_start_states_stay_within_one():
    model = model_of()
    with torch.no_grad():
        for bridge in model.linear_bridges():
            bridge.weight.mul_(1000)

    assert all(part.abs().max() <= 1 for part in model.read(SOURCES, LENGTHS).start)


def test_its_own_choices_are_read_while_training_only():
    model = model_of(input_feeding=True, own_choices=1.0)
    taught, _ = model(SOURCES, LENGTHS, BEGUN, ())
    other, _ = model(SOURCES, LENGTHS, BEGUN.clone().index_fill_(1, torch.tensor([1]), 4), ())
    assert not torch.equal(taught[:, 1], other[:, 1])

    model.train()
    first, _ = model(SOURCES, LENGTHS, BEGUN, ())
    second, _ = model(SOURCES, LENGTHS, BEGUN.clone().index_fill_(1, torch.tensor([1]), 4), ())
    assert torch.equal(first, second)


def test_its_own_choices_need_input_feeding():
    with pytest.raises(ValueError, match="own_choices needs input_feeding"):
        model_of(own_choices=0.1)
