"""Measures a model on a split: nats per target, and the share it gets right."""

from typing import NamedTuple

import torch
from torch.nn import functional

from stepwire_training.data.batches import PADDING, Batches, Shard
from stepwire_training.models.network import Network, State


class Score(NamedTuple):
    """How well a model does."""

    loss: float  # mean nats per target
    accuracy: float  # share of targets that came first
    bleu: float | None = None  # of greedy translations, for a translator


def evaluate(model: Network, batches: Batches, bf16: bool = False) -> Score:
    """Reads a split once, carrying the state from chunk to chunk.

    Args:
        model: is put into evaluation mode and back.
        batches: the split.
        bf16: whether to compute as in training; published figures are in float32.
    """
    was_training = model.training
    model.eval()
    totals = torch.zeros(3, dtype=torch.float64)  # loss, hits, targets
    state: State = ()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for step in range(len(batches)):
            inputs, targets, fresh = batches.batch(step, Shard())
            state = model.start(len(targets)) if fresh else state
            logits, state = model(*inputs, state)
            real = targets.flatten() != PADDING
            scores, wanted = logits.float().flatten(0, -2)[real], targets.flatten()[real]
            loss = functional.cross_entropy(scores, wanted, reduction="sum")
            hits = (scores.argmax(dim=-1) == wanted).sum()
            totals += torch.stack([loss.double(), hits.double(), torch.tensor(len(wanted))])
    model.train(was_training)
    loss_sum, hit_sum, count = totals.tolist()
    return Score(loss_sum / count, hit_sum / count)
