"""Attention against the sums it stands for."""

import pytest
import torch

from stepwire_training.models.attention import Attention

KINDS = ("dot", "general", "additive")
SIZE = 4


def compared(attention: Attention, query, remembered):
    """How well one position answers one query, as the papers write it down."""
    if attention.kind == "dot":
        return sum(q * m for q, m in zip(query, remembered, strict=True))
    projected = attention.of_memory.weight @ remembered
    if attention.kind == "general":
        return sum(q * k for q, k in zip(query, projected, strict=True))
    asked = attention.of_query.weight @ query + attention.of_query.bias
    return sum(
        v * torch.tanh(a + k) for v, a, k in zip(attention.score, asked, projected, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_weighs_as_its_paper_says(kind):
    attention = Attention(kind, SIZE, SIZE)
    queries, memory = torch.randn(2, 3, SIZE), torch.randn(2, 5, SIZE)
    lengths = (5, 2)
    inside = torch.arange(5) < torch.tensor(lengths).unsqueeze(1)

    contexts, weights = attention(queries, attention.keys(memory), memory, inside)
    for row, length in enumerate(lengths):
        for position in range(3):
            scores = [
                compared(attention, queries[row, position], memory[row, s]) for s in range(length)
            ]
            wanted = torch.stack(scores).softmax(dim=0)
            found = sum(w * memory[row, s] for s, w in enumerate(wanted))
            torch.testing.assert_close(weights[row, position, :length], wanted)
            torch.testing.assert_close(contexts[row, position], found)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_looked_at_behind_a_source(kind):
    attention = Attention(kind, SIZE, SIZE)
    queries, memory = torch.randn(1, 2, SIZE), torch.randn(1, 4, SIZE)
    inside = torch.tensor([[True, True, False, False]])
    changed = memory.clone()
    changed[:, 2:] = 100.0

    first, weights = attention(queries, attention.keys(memory), memory, inside)
    second, _ = attention(queries, attention.keys(changed), changed, inside)
    assert torch.equal(first, second)
    assert not weights[:, :, 2:].any()


def test_dot_attention_needs_as_many_units_as_memory():
    with pytest.raises(ValueError, match="dot attention needs as many units as memory, 3 and 4"):
        Attention("dot", 3, 4)
