import numpy as np
import pytest
import torch
from torch.nn import functional

from stepwire_training.data.batches import PADDING
from stepwire_training.models.word_vectors import CountFitting, NoiseContrast, Table

MADE_OF = torch.tensor([[9, 9, 9], [1, 6, 9], [2, 6, 7], [3, 9, 9], [4, 7, 8], [5, 8, 9]])
WORDS, PARTS = 6, 3


@pytest.fixture
def model():
    found = NoiseContrast.Config(size=4, negatives=3.0, made_of=3).build(WORDS, 0, PARTS)
    found.begin_from(MADE_OF)
    for part in found.parameters():
        part.data.normal_()
    return found


def composed(model, word):
    rows = [row for row in MADE_OF[word].tolist() if row != WORDS + PARTS]
    return model.inputs[rows].mean(dim=0)


def test_a_word_is_the_mean_of_what_it_is_made_of(model):
    table = model.table()
    assert table.shape == (WORDS + PARTS, 4)
    assert (table[0] == 0).all()
    for word in range(1, WORDS):
        torch.testing.assert_close(table[word], composed(model, word))
    assert (table[WORDS:] == model.inputs[WORDS:-1]).all()


def test_what_is_published_fits_into_half_precision(model):
    assert (model.published().half().float() == model.published()).all()


def test_the_loss_is_that_of_pairs_and_so_much_noise(model):
    read = torch.tensor([[1], [2], [1], [3]])
    told = torch.tensor([[2, PADDING], [3, 4], [PADDING, PADDING], [1, PADDING]])
    noise = torch.tensor([[5, 1, 3, 3], [2, 5, 4, 1]])  # of two rows each
    model.requires_grad_(False)
    outputs, _ = model(read, told, noise, ())
    wanted = torch.zeros(())
    for row, ((word,), others) in enumerate(zip(read.tolist(), told.tolist(), strict=True)):
        x = composed(model, word)
        for other in (it for it in others if it != PADDING):
            wanted += functional.softplus(-x @ model.outputs[other])
            apart = noise[row // 2].tolist()
            each = [functional.softplus(x @ model.outputs[it]) for it in apart]
            wanted += 3.0 * sum(each) / 4
    torch.testing.assert_close(model.loss(outputs, told), wanted / 4)
    nats, _, count = model.tally(outputs, told)
    assert (count, float(nats)) == (4, pytest.approx(float(wanted)))


def test_a_bag_is_the_mean_of_its_words(model):
    read = torch.tensor([[1, 2, PADDING], [PADDING] * 3, [4, 4, 5]])
    told = torch.tensor([[3], [PADDING], [2]])
    (pairs, _), _ = model(read, told, torch.tensor([[1]]), ())
    first = (composed(model, 1) + composed(model, 2)) / 2
    last = (2 * composed(model, 4) + composed(model, 5)) / 3
    torch.testing.assert_close(pairs[0, 0], first @ model.outputs[3])
    torch.testing.assert_close(pairs[2, 0], last @ model.outputs[2])


def test_neighbours_come_together_and_noise_stays_apart():
    model = NoiseContrast.Config(size=4).build(WORDS, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    read, told = torch.tensor([[1], [2], [3]]), torch.tensor([[4], [4], [5]])
    for _ in range(60):
        outputs, _ = model(read, told, torch.tensor([[4, 5, 1]]), ())
        optimizer.zero_grad()
        torch.autograd.backward(model.loss(outputs, told))
        optimizer.step()
    told_of = Table(model.published(), WORDS).told(torch.tensor([[1]]), torch.tensor([1]))
    cosines = told_of["cosines"][0]
    assert cosines[2] > 0.9
    assert cosines[3] < cosines[2]


def test_products_of_glove_become_logarithms_of_counts():
    model = CountFitting.Config(size=8).build(WORDS, 0)
    rng = np.random.default_rng(0)
    left, right = (torch.from_numpy(it.ravel()) for it in np.mgrid[1:6, 1:6])
    counts = torch.from_numpy(rng.uniform(5, 20, 25).astype(np.float32))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(400):
        found, _ = model(left, right, ())
        optimizer.zero_grad()
        torch.autograd.backward(model.loss(found, counts))
        optimizer.step()
    found, _ = model(left, right, ())
    torch.testing.assert_close(found, counts.log(), atol=0.05, rtol=0)
    assert (model.table()[0] == 0).all()


def test_glove_minds_a_rare_pair_less():
    model = CountFitting.Config(size=2, enough=10.0, power=0.75).build(WORDS, 0)
    for part in model.requires_grad_(False).parameters():
        part.zero_()
    found, _ = model(torch.tensor([1, 1, 1]), torch.tensor([2, 3, 4]), ())
    each = [model.loss(found[:1], torch.tensor([count])) for count in (5.0, 10.0, 20.0)]
    weights = [float(it) / np.log(count) ** 2 for it, count in zip(each, (5, 10, 20), strict=True)]
    assert weights == pytest.approx([0.5**0.75, 1, 1], rel=1e-5)


def test_served_cosines_are_those_of_unit_vectors():
    table = torch.randn(7, 3)
    told = Table(table, 5).told(torch.tensor([[6, 5, 0], [2, 0, 0]]), torch.tensor([2, 1]))
    mean = table[5:7].mean(dim=0)
    torch.testing.assert_close(told["vector"], torch.stack([mean, table[2]]))
    wanted = functional.cosine_similarity(mean[None], table[:5])
    torch.testing.assert_close(told["cosines"][0], wanted)
