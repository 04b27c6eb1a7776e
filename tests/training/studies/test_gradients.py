from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from stepwire_training.data import shakespeare
from stepwire_training.studies.gradients import (
    CELLS,
    LAGS,
    QUICK,
    STARTS,
    begun,
    descend,
    fresh,
    left,
    norms_by_lag,
    places,
)

SMALL = replace(QUICK, hidden=5, embedding=4)


@pytest.fixture
def dataset():
    return shakespeare.Characters(rows=QUICK.rows, length=QUICK.chunk, seed=1).load()


def loss_after(model, state, rest, wanted):
    for token in rest:
        _, state = model(token.view(1, 1), state)
    return functional.cross_entropy(model.output(state[0][:, 0]), wanted.view(1)).item()


@pytest.mark.parametrize("cell", CELLS)
def test_a_norm_is_that_of_finite_differences(dataset, cell):
    model = fresh(cell, dataset, SMALL)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(3)  # a loss that moves enough for differences of float32
    text = torch.randint(dataset.sizes[0], (1, 7))
    norms = norms_by_lag(model, text)
    tokens, wanted = text[0, :-1], text[0, -1]
    for lag in range(4):
        cut = len(tokens) - lag
        with torch.no_grad():
            _, state = model(tokens[None, :cut], model.start(1))
            slopes = []
            for part in range(len(state)):
                for unit in range(SMALL.hidden):
                    ends = []
                    for step in (1e-2, -1e-2):
                        moved = [each.clone() for each in state]
                        moved[part][0, 0, unit] += step
                        ends.append(loss_after(model, tuple(moved), tokens[cut:], wanted))
                    slopes.append((ends[0] - ends[1]) / 2e-2)
        assert torch.tensor(slopes).norm().item() == pytest.approx(norms[lag], rel=0.02)


def test_at_the_start_less_is_left_of_a_gradient_where_less_is_kept(dataset):
    settings = replace(QUICK, hidden=48)
    text = places(dataset, settings)
    at_50 = {
        name: left(begun(start, dataset, settings), text)[LAGS.index(50)]
        for name, start in STARTS.items()
    }
    assert at_50["rnn, uniform weights"] < at_50["lstm, forget bias 0"]
    assert at_50["lstm, forget bias 0"] < at_50["lstm, forget bias 1"] < at_50["lstm, chrono"]
    # Open gates are not the only way: a matrix that turns and never shrinks is another.
    assert at_50["rnn, uniform weights"] < 1e-3 * at_50["rnn, orthogonal weights"]


def test_clipping_shortens_an_update_and_turns_it_nowhere(dataset):
    moves = []
    for clipped in (False, True):
        torch.manual_seed(1)
        model = fresh("rnn", dataset, QUICK)
        before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        settings = replace(QUICK, steps=1, longest=0.01)
        [(_, norm)] = descend(model, dataset.train, 2.0, settings, clipped)
        moves.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before)
    whole, short = moves
    assert whole.norm().item() == pytest.approx(2.0 * norm, rel=1e-3)
    assert short.norm().item() == pytest.approx(2.0 * 0.01, rel=1e-3)
    torch.testing.assert_close(short, whole * 0.01 / norm, rtol=1e-2, atol=1e-6)
