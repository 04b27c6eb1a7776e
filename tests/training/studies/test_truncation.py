import pytest
import torch

from stepwire_training.data.batches import PADDING, Batch, Shard
from stepwire_training.studies.truncation import QUICK, Forgetful, Settings, shortened
from stepwire_training.train import begin, update

EARLY, LATE = torch.tensor([[5, 6, 5, 6]]), torch.tensor([[1, 2, 3, 4]])


class Pieces:
    """Batches that are given, of which the last alone is asked for."""

    def __init__(self, *pieces):
        self.pieces = pieces

    def __len__(self):
        return len(self.pieces)

    def batch(self, step, shard):
        tokens = self.pieces[step]
        targets = tokens.clone()
        targets[:, :-4] = PADDING
        return Batch((tokens,), targets, fresh=step == 0)


def early_gradients(batches, tmp_path):
    """The gradient of the embeddings of the early characters, after the last batch."""
    recipe = shortened(QUICK.lengths[0], 1, QUICK)
    run = begin(recipe, recipe.data.load(), tmp_path, Shard())
    for _ in range(len(batches)):
        update(recipe, run.model, run, batches, Shard())
        run.progress.step += 1
    return run.model.embedding.weight.grad[5:7]


def test_no_gradient_crosses_a_cut(tmp_path):
    whole = Pieces(torch.cat([EARLY, LATE], dim=1))
    assert early_gradients(whole, tmp_path).abs().max() > 0
    assert early_gradients(Pieces(EARLY, LATE), tmp_path).abs().max() == 0


def scores_of_the_last(batches):
    torch.manual_seed(1)
    recipe = shortened(QUICK.lengths[0], 1, QUICK)
    model = recipe.model.build(*recipe.data.load().sizes)
    state = ()
    for step in range(len(batches)):
        inputs, targets, fresh = batches.batch(step, Shard())
        logits, state = model(*inputs, model.start(len(targets)) if fresh else state)
    return logits


def test_a_state_crosses_the_cut_unless_it_is_forgotten():
    alone = scores_of_the_last(Pieces(LATE))
    assert torch.equal(scores_of_the_last(Forgetful(Pieces(EARLY, LATE))), alone)
    assert not torch.equal(scores_of_the_last(Pieces(EARLY, LATE)), alone)


@pytest.mark.parametrize("length", Settings().lengths)
def test_as_much_is_read_between_two_updates_whatever_the_length(length):
    settings = Settings()
    config = shortened(length, 1, settings).data
    assert config.rows * config.length == settings.characters
