"""Words that are read and scored by how common they are."""

import pytest
import torch
from torch import nn

from stepwire_training.models.adaptive import NARROWER, AdaptiveWords
from stepwire_training.models.language_model import LanguageModel

SIZE, VOCABULARY, CUTS = 32, 60, (10, 25)


@pytest.fixture
def words():
    torch.manual_seed(1)
    return AdaptiveWords(VOCABULARY, SIZE, CUTS)


@pytest.fixture
def reference(words):
    """PyTorch's own, with the same weights."""
    layer = nn.AdaptiveLogSoftmaxWithLoss(
        SIZE, VOCABULARY, list(CUTS), div_value=NARROWER, head_bias=True
    )
    layer.head.load_state_dict(words.head.state_dict())
    for (narrow, among), each in zip(layer.tail, words.classes(), strict=True):
        narrow.weight.data = each.narrow.weight.data
        among.weight.data = each.vectors.data
    return layer


def test_a_word_costs_what_pytorch_says(words, reference):
    x, wanted = torch.randn(200, SIZE), torch.randint(VOCABULARY, (200,))

    torch.testing.assert_close(words.nats(x, wanted), -reference(x, wanted).output)


def test_the_scores_are_the_logarithms_of_probabilities_of_all_words(words, reference):
    x = torch.randn(7, 3, SIZE)
    scores = words.scores(x)

    torch.testing.assert_close(scores.flatten(0, 1), reference.log_prob(x.flatten(0, 1)))
    torch.testing.assert_close(scores.exp().sum(dim=-1), torch.ones(7, 3))


def test_a_word_of_each_class_is_read_by_the_vector_it_is_scored_by(words):
    tokens = torch.tensor([[0, 9, 10], [24, 25, 59]])
    read = words.read(tokens)
    middle, rarest = words.classes()

    torch.testing.assert_close(read[0, :2], words.head.weight[[0, 9]])
    torch.testing.assert_close(read[0, 2], middle.widen(middle.vectors[0]))
    torch.testing.assert_close(read[1, 0], middle.widen(middle.vectors[14]))
    torch.testing.assert_close(read[1, 1:], rarest.widen(rarest.vectors[[0, 34]]))


@pytest.mark.parametrize("present", [[0, 1, 2], [11], [30, 59], [0, 12, 30]])
def test_texts_without_words_of_some_class_teach_the_others(words, present):
    tokens = torch.tensor([present])
    x = words.read(tokens)
    words.nats(x.flatten(0, 1), tokens.flatten()).mean().backward()

    taught = [0, *(n for n, each in enumerate(words.classes(), 1) if each.holds(tokens).any())]
    parts = [words.head.weight, *(each.vectors for each in words.classes())]
    moved = [n for n, part in enumerate(parts) if part.grad is not None and part.grad.any()]
    assert moved == taught


def test_a_model_learns_by_the_same_nats_that_it_is_measured_by():
    config = LanguageModel.Config(cell="lstm", layers=1, hidden=SIZE, embedding=SIZE, cuts=CUTS)
    model = config.build(VOCABULARY, 0)
    tokens, targets = torch.randint(VOCABULARY, (2, 4, 9))
    hidden, _ = model(tokens, model.start(4))
    learned = model.loss(hidden, targets)
    model.eval()
    logits, _ = model(tokens, model.start(4))
    nats, _, count = model.tally(logits, targets)

    torch.testing.assert_close(learned.item(), (nats / count).item())
