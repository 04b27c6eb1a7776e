"""The figures of a tagger that judges sentences too: intents, slots, and both together."""

import torch

from stepwire_training.data.batches import Batches, Shard
from stepwire_training.entity_scoring import f1
from stepwire_training.evaluate import evaluate
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_zoo.manifest import Metric

SENTENCES = "share of sentences"


def joint_figures(
    model: JointTagger, texts: Batches, labels: tuple[str, ...], split: str
) -> list[Metric]:
    """The figures of one split: slots first, as papers are compared by them.

    Args:
        model: what to measure.
        texts: the split.
        labels: of words.
        split: its name.
    """
    right, found, wanted = 0, [], []
    model.eval()
    for step in range(len(texts)):
        inputs, targets, _ = texts.batch(step, Shard())
        with torch.inference_mode():
            (words, sentences), _ = model(*inputs, ())
        right += int((sentences.argmax(dim=1) == targets[:, 0]).sum())
        for row, tags in zip(model.likeliest(words, inputs[2]), targets.tolist(), strict=True):
            found.append([labels[tag] for tag in row])
            wanted.append([labels[tag] for tag in tags[1 : 1 + len(row)]])
    score = evaluate(model, texts)
    figures = {
        "slot F1": (f1(found, wanted), "share"),
        "intent accuracy": (right / len(found), SENTENCES),
        "sentence accuracy": (score.accuracy or 0.0, SENTENCES),
        "loss": (score.loss, "nats per sentence"),
    }
    return [
        Metric(name=name, value=value, unit=unit, split=split)
        for name, (value, unit) in figures.items()
    ]
