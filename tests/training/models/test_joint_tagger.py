"""The joint tagger: padding shows nowhere, and what is counted is counted right."""

import pytest
import torch
from torch.nn import functional

from stepwire_training.data.batches import PADDING
from stepwire_training.models.joint_tagger import JointTagger

CONFIG = JointTagger.Config(
    layers=1,
    hidden=7,
    learned=5,
    embedding=4,
    vectors=3,
    character=6,
    widths=(2, 3),
    filters=4,
    text_labels=2,
    text_weight=0.5,
)
LENGTHS = torch.tensor([3, 8, 1])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    made = CONFIG.build(vocabulary=11, labels=3, sources=9).eval()
    for part in made.chain.parameters():
        torch.nn.init.normal_(part)
    return made


@pytest.fixture(scope="module")
def inputs():
    rng = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, 11, (3, 8), generator=rng)
    return tokens, torch.randint(0, 9, (3, 8, 5), generator=rng)


def targets_of(model, words, texts):
    """What the model itself says, as targets."""
    rows = torch.full((3, 9), PADDING)
    rows[:, 0] = texts.argmax(dim=1)
    for row, tags in zip(rows, model.likeliest(words, LENGTHS), strict=True):
        row[1 : 1 + len(tags)] = torch.tensor(tags)
    return rows


def test_what_stands_behind_a_sentence_changes_nothing(model, inputs):
    (words, texts), _ = model(*inputs, LENGTHS, ())
    for row, length in enumerate(LENGTHS.tolist()):
        own = (part[row : row + 1, :length] for part in inputs)
        (alone, text), _ = model(*own, LENGTHS[row : row + 1], ())
        torch.testing.assert_close(words[row : row + 1, :length], alone)
        torch.testing.assert_close(texts[row : row + 1], text)


def test_a_sentence_is_right_only_in_everything(model, inputs):
    outputs, _ = model(*inputs, LENGTHS, ())
    targets = targets_of(model, *outputs)
    assert model.tally(outputs, targets)[1:].tolist() == [3, 3]

    targets[0, 0] = 1 - targets[0, 0]  # another label of the sentence
    targets[1, 4] = (targets[1, 4] + 1) % 3  # another tag of a word
    assert model.tally(outputs, targets)[1:].tolist() == [1, 3]


def test_nats_are_those_of_the_chain_and_of_the_sentences(model, inputs):
    (words, texts), _ = model(*inputs, LENGTHS, ())
    targets = targets_of(model, words, texts)
    chained = model.chain.nats(words, targets[:, 1:].clamp(min=0), LENGTHS)
    judged = functional.cross_entropy(texts, targets[:, 0], reduction="none")

    nats = model.tally((words, texts), targets)[0]
    torch.testing.assert_close(nats.float(), (chained + judged).sum())
    loss = model.loss((words, texts), targets)
    torch.testing.assert_close(loss, chained.sum() / LENGTHS.sum() + 0.5 * judged.mean())
