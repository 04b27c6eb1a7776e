import pytest
import torch
from torch.nn import functional

from stepwire_training.data.batches import PADDING
from stepwire_training.models.stream_classifier import StreamClassifier, shares


def model_of(**settings) -> StreamClassifier:
    config = StreamClassifier.Config(cell="lstm", layers=2, hidden=6, embedding=5, **settings)
    return config.build(vocabulary=9, labels=3)


def test_a_verdict_depends_on_what_was_read_and_on_nothing_behind_it():
    model = model_of().eval()
    tokens = torch.randint(9, (4, 7))
    whole, _ = model(tokens, model.start(4))
    begun, _ = model(tokens[:, :3], model.start(4))

    assert whole.shape == (4, 7, 3)
    assert torch.allclose(whole[:, :3], begun, atol=1e-6)


def test_a_text_read_in_pieces_is_judged_as_the_whole():
    model = model_of().eval()
    tokens = torch.randint(9, (4, 7))
    state, pieces = model.start(4), []
    for piece in tokens.split([1, 4, 2], dim=1):
        logits, state = model(piece, state)
        pieces.append(logits)

    assert torch.allclose(torch.cat(pieces, dim=1), model(tokens, model.start(4))[0], atol=1e-6)


@pytest.mark.parametrize(
    ("lean", "wanted"),
    [
        (0.0, [1 / 3, 1 / 3, 1 / 3, 0.0]),
        (1.0, [1 / 6, 2 / 6, 3 / 6, 0.0]),
        (float("inf"), [0.0, 0.0, 1.0, 0.0]),
    ],
)
def test_later_places_count_by_their_lean_and_padding_never(lean, wanted):
    asked = torch.tensor([[True, True, True, False]])

    assert shares(asked, lean).tolist() == [pytest.approx(wanted)]


def test_a_long_text_counts_no_more_than_a_short_one():
    model, logits = model_of(lean=1.0), torch.randn(2, 5, 3)
    targets = torch.tensor([[1, PADDING, PADDING, PADDING, PADDING], [2, 2, 2, 2, 2]])
    short, long = (model.loss(logits[row, None], targets[row, None], 0.0) for row in (0, 1))

    assert torch.allclose(short, functional.cross_entropy(logits[0, :1], targets[0, :1]))
    assert torch.allclose(model.loss(logits, targets, 0.0), (short + long) / 2)


def test_it_begins_from_word_vectors():
    model, vectors = model_of(), torch.randn(9, 5)
    model.begin_from(vectors)

    assert torch.equal(model.embedding.weight, vectors)


def test_features_of_the_embedding_are_dropped_in_training_alone():
    model, tokens = model_of(embedding_dropout=0.5), torch.randint(9, (4, 7))
    first, second = (model(tokens, model.start(4))[0] for _ in range(2))
    assert not torch.equal(first, second)

    model.eval()
    first, second = (model(tokens, model.start(4))[0] for _ in range(2))
    assert torch.equal(first, second)
