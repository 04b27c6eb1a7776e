"""Measures a model on a split: nats per target, and the share it gets right, or its error."""

from typing import NamedTuple

import torch

from stepwire_training.data.batches import Batches, Shard
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.models.network import Network, State
from stepwire_training.models.tagger import Tagger


class Score(NamedTuple):
    """How well a model does."""

    loss: float  # mean nats per target
    accuracy: float | None  # share of targets that came first
    bleu: float | None = None  # of greedy translations, for a translator
    error: float | None = None  # mean square, of a forecaster, in units of the series
    tagged: float | None = None  # share of words that get their tag, of a tagger


def evaluate(model: Network, batches: Batches, bf16: bool = False) -> Score:
    """Reads a split once, carrying the state from chunk to chunk.

    Args:
        model: is put into evaluation mode and back.
        batches: the split.
        bf16: whether to compute as in training; published figures are in float32.
    """
    was_training = model.training
    model.eval()
    totals = torch.zeros(3, dtype=torch.float64)  # loss, hits or errors, targets
    state: State = ()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for step in range(len(batches)):
            inputs, targets, fresh = batches.batch(step, Shard())
            state = model.start(len(targets)) if fresh else state
            outputs, state = model(*inputs, state)
            totals += model.tally(outputs, targets)
    model.train(was_training)
    loss, second = (totals[:2] / totals[2]).tolist()
    if isinstance(model, Forecaster):
        return Score(loss, None, error=second)
    if isinstance(model, Tagger):
        return Score(loss, second, tagged=second)
    return Score(loss, second)
