import torch

from stepwire_training.data.batches import NO_TARGET, LabelledTexts, Neighbours, Shard
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.reader import Reader


def test_neither_direction_has_seen_what_it_foretells():
    config = Reader.Config(encoder=Encoder.Config(layers=2, hidden=6, embedding=5))
    model = config.build(9, 0).eval()
    tokens = torch.tensor([[0, 1, 2, 3, 4]])
    # Another order of the same tokens behind position 2, and so the same candidates.
    later = torch.tensor([[0, 1, 2, 4, 3]])
    lengths = torch.tensor([5])
    first, second = (model(t, lengths, ())[0] for t in (tokens, later))  # [1, 5, 2, 5]

    assert torch.equal(first[0, :3, 0], second[0, :3, 0])
    assert not torch.equal(first[0, :3, 1], second[0, :3, 1])


def test_targets_are_places_among_the_tokens_of_the_batch():
    texts = [torch.tensor([5, 7, 5]).numpy(), torch.tensor([9]).numpy()]
    batches = Neighbours(LabelledTexts(texts, torch.tensor([0, 1]).numpy(), rows=2))
    (tokens, lengths), targets, _ = batches.batch(0, Shard())

    assert (tokens.tolist(), lengths.tolist()) == ([[9, 0, 0], [5, 7, 5]], [1, 3])
    none = [NO_TARGET, NO_TARGET]
    # The candidates are 0 (padding), 5, 7, 9.
    assert targets.tolist() == [[none] * 3, [[2, NO_TARGET], [1, 1], [NO_TARGET, 2]]]
