"""N-gram models against the formulas of the paper, one dictionary at a time."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_training import parity
from stepwire_training.data.counting import discounts_of, keys_of
from stepwire_training.graphs.ngram import ngram_graph
from stepwire_training.models.ngram import Ngram
from stepwire_training.proved import GOLDEN

VOCABULARY = 5


class Plain:
    """Chen and Goodman (1998), section 3: p(w | context), shorter contexts mixed in."""

    def __init__(self, text, order):
        self.counts = {order: Counter(grams(text, order))}
        for size in range(1, order):
            before = defaultdict(set)
            for gram in grams(text, size + 1):
                before[gram[1:]].add(gram[0])
            self.counts[size] = Counter({gram: len(others) for gram, others in before.items()})
        self.discounts = {
            size: discounts_of(np.array(list(counts.values()), np.int64))
            for size, counts in self.counts.items()
        }

    def probability(self, token, context):
        size = len(context) + 1
        shorter = self.probability(token, context[1:]) if context else 1 / VOCABULARY
        after = {g[-1]: c for g, c in self.counts[size].items() if g[:-1] == context}
        if not after:
            return shorter
        discount = self.discounts[size]
        total = sum(after.values())
        left = sum(discount[min(count, 3)] for count in after.values()) / total
        count = after.get(token, 0)
        return (count - discount[min(count, 3)]) / total + left * shorter


def grams(text, size):
    return [tuple(text[place : place + size]) for place in range(len(text) - size + 1)]


def counted(text, order):
    model = Ngram.Config(order=order).build(VOCABULARY, 0)
    model.begin_from(np.array(text, np.int64))
    return model.eval()


def made_up(length, seed=0):
    """A text in which what comes depends on what came."""
    rng, text = np.random.default_rng(seed), [0]
    while len(text) < length:
        text.append(
            int((text[-1] * 2 + rng.choice(4, p=[0.6, 0.2, 0.15, 0.05])) % (VOCABULARY - 1))
        )
    return text


texts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(text=texts, read=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=6))
@pytest.mark.parametrize("order", [2, 3, 4])
def test_probabilities_are_those_of_the_paper(order, text, read):
    plain, model = Plain(text, order), counted(text, order)
    logits, _ = model(torch.tensor([read]), model.start(1))

    for place in range(len(read)):
        context = tuple(read[max(0, place + 2 - order) : place + 1])
        wanted = [plain.probability(token, context) for token in range(VOCABULARY)]
        np.testing.assert_allclose(logits[0, place].exp().detach(), wanted, rtol=1e-5)


def test_probabilities_of_all_tokens_add_up_to_one():
    model = counted(made_up(300), 4)
    logits, _ = model(torch.tensor([made_up(50, seed=1), [4] * 50]), model.start(2))

    torch.testing.assert_close(logits.exp().sum(dim=-1), torch.ones(2, 50))


def test_estimated_discounts_are_those_of_the_paper():
    counts = np.repeat([1, 2, 3, 4, 9], [40, 20, 10, 5, 7])
    y = 40 / 80

    wanted = [0, 1 - 2 * y * 20 / 40, 2 - 3 * y * 10 / 20, 3 - 4 * y * 5 / 10]
    np.testing.assert_allclose(discounts_of(counts), wanted)


def test_every_token_stays_possible_whatever_was_counted():
    odd = np.repeat([1, 2, 3, 4], [1, 30, 1, 30])  # of which no discount can be estimated
    assert (discounts_of(odd)[1:] > 0).all()
    for text in (made_up(300), [1, 2, 3] * 20, [1]):
        model = counted(text, 4)
        logits, _ = model(torch.tensor([made_up(30, seed=2)]), model.start(1))
        assert logits.isfinite().all()


@pytest.mark.parametrize("order", [2, 4, 6])
def test_the_graph_answers_as_the_model_in_every_batch(order):
    model = counted(made_up(400), order)
    tokens = np.array([made_up(20, seed) for seed in (1, 2)] + [[4] * 20])
    case = parity.step_case(model, tokens)

    assert parity.prove_step(ngram_graph(model), model, case, GOLDEN) < 1e-5


def test_the_state_is_the_last_tokens_and_nothing_else():
    model = counted(made_up(400), 4)
    graph = parity.session(ngram_graph(model))
    tokens = np.array([[3, 1, 0, 2, 1], [0, 0, 0, 2, 1]])
    logits, last = parity.step_by_step(graph, tokens, {"last": np.zeros((2, 3), np.int64)})

    assert last["last"].tolist() == [[2, 3, 1], [2, 3, 1]]
    assert np.array_equal(logits[0, -1], logits[1, -1])


def test_every_context_of_a_text_is_found_and_no_other():
    text = np.random.default_rng(0).integers(VOCABULARY, size=2_000)
    model = counted(text, 6)
    seen = set(grams(text.tolist(), 5)[:-1])
    asked = torch.tensor(list(itertools.product(range(VOCABULARY), repeat=5)))
    found = model.find(keys_of(asked.flip(1)[None] + 1, VOCABULARY))[0, :, -1]

    assert [tuple(row.tolist()) in seen for row in asked] == (found != 0).tolist()
    assert len(set(found[found != 0].tolist())) == len(seen)


def test_a_model_is_whole_when_its_weights_are_loaded():
    model, other = counted(made_up(200), 3), Ngram.Config(order=3).build(VOCABULARY, 0)
    other.load_state_dict(model.state_dict())
    tokens = torch.tensor([made_up(20, seed=3)])

    assert torch.equal(model(tokens, model.start(1))[0], other(tokens, other.start(1))[0])
    assert onnx.load_from_string(ngram_graph(model)) == onnx.load_from_string(ngram_graph(other))
