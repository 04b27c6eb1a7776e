"""A transformer with a window against attention that is written out position by position."""

import math

import numpy as np
import pytest
import torch

from stepwire_training import parity
from stepwire_training.graphs.window_transformer import window_graph
from stepwire_training.models.window_transformer import WindowTransformer, slanted, state_names
from stepwire_training.proved import GOLDEN

WINDOW = 4
CONFIG = WindowTransformer.Config(embedding=6, layers=2, heads=3, wide=7, window=WINDOW)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = CONFIG.build(vocabulary=9, labels=0).eval()
    for part in model.parameters():
        part.data += 0.3 * torch.randn_like(part)
    return model


def plainly(model, tokens):
    """Logits [T, V] of one text, each position and head by itself."""
    x = list(model.embedding(torch.tensor(tokens)))
    for layer in model.parts():
        asked = [layer.asks(layer.before_looking(each)).view(3, 3, 2) for each in x]
        x = [x[t] + layer.told(looked(layer, asked, t)) for t in range(len(x))]
        x = [e + layer.narrow(layer.widen(layer.before_thinking(e)).relu()) for e in x]
    return torch.stack([model.output(model.last(each)) for each in x])


def looked(layer, asked, t):
    """What position t finds in its window, all heads side by side."""
    found = []
    for head in range(3):
        window = range(max(0, t - WINDOW + 1), t + 1)
        scores = []
        for u in window:
            place = WINDOW - 1 - (t - u)
            query, key = asked[t][0, head], asked[u][1, head]
            score = query @ (key + layer.places[head, place]) / math.sqrt(2)
            scores.append(score + layer.lean[head, place])
        shares = torch.stack(scores).softmax(0)
        found.append(sum(s * asked[u][2, head] for s, u in zip(shares, window, strict=True)))
    return torch.cat(found)


def test_each_position_looks_at_its_window_and_at_nothing_else(model):
    tokens = torch.randint(9, (13,)).tolist()
    logits, _ = model(torch.tensor([tokens]), model.start(1))

    torch.testing.assert_close(logits[0], plainly(model, tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cuts", [[1, 2], [2, 3, 9], list(range(1, 12))])
def test_chunks_equal_the_whole(model, cuts):
    tokens = torch.randint(9, (3, 12))
    whole, _ = model(tokens, model.start(3))
    state, pieces = model.start(3), []
    for chunk in tokens.tensor_split(cuts, dim=1):
        logits, state = model(chunk, state)
        pieces.append(logits)

    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)


def test_the_window_slides_and_what_has_left_its_reach_is_forgotten(model):
    ends = torch.randint(9, (1, CONFIG.reach))
    texts = [torch.cat([torch.randint(9, (1, n)), ends], dim=1) for n in (0, 1, 5)]
    one, other, third = (model(text, model.start(1))[0][:, -1] for text in texts)

    torch.testing.assert_close(other, third)
    torch.testing.assert_close(one, other)
    nearer = texts[1].clone()
    nearer[0, 1] = (nearer[0, 1] + 1) % 9
    assert not torch.allclose(model(nearer, model.start(1))[0][:, -1], other)


def test_numbers_by_place_come_to_stand_over_the_window():
    by_place = torch.arange(1.0, 7.0).view(1, 1, 3, 2)

    wanted = [[1, 2, 0, 0], [0, 3, 4, 0], [0, 0, 5, 6]]
    assert slanted(by_place)[0, 0].tolist() == wanted


def test_the_graph_answers_as_the_model_within_and_beyond_its_reach(model):
    tokens = np.random.default_rng(0).integers(9, size=(3, 3 * CONFIG.reach))
    case = parity.step_case(model, tokens)

    assert parity.prove_step(window_graph(model), model, case, GOLDEN) < 1e-5


def test_a_state_has_the_same_size_however_much_was_read(model):
    graph = parity.session(window_graph(model))
    shapes = {port.name: port.shape for port in graph.get_inputs()}

    assert set(shapes) == {"token", *state_names(layers=2)}
    assert shapes.pop("token") == ["N"]
    assert shapes.pop("held") == ["N", 1]
    assert set(map(tuple, shapes.values())) == {("N", 3, WINDOW - 1, 2)}
    zeros = {name: np.zeros((1, *shape[1:]), np.float32) for name, shape in shapes.items()}
    tokens = np.ones((1, 2 * CONFIG.reach), np.int64)
    _, last = parity.step_by_step(graph, tokens, zeros | {"held": np.zeros((1, 1), np.int64)})
    assert last["held"].tolist() == [[WINDOW - 1]]


def test_every_weight_learns(model):
    logits, _ = model(torch.randint(9, (4, 12)), model.start(4))
    model.loss(logits, torch.randint(9, (4, 12))).backward()

    assert [name for name, part in model.named_parameters() if not part.grad.any()] == []
