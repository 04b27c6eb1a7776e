"""The figures of a tagger: the share of words that get their tag, entities, words found."""

from dataclasses import replace

import torch

from stepwire_training.data.batches import Batches, Dataset, Shard, Tagging
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.tagged import EVALUATION_ROWS, Encoder, TaggedTexts, Vocabulary
from stepwire_training.entity_scoring import f1, mean_f1, mean_tag_f1
from stepwire_training.evaluate import evaluate
from stepwire_training.measure_joint import joint_figures
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_training.models.tagger import Tagger
from stepwire_zoo.manifest import Metric

Pairs = tuple[list[list[str]], list[list[str]]]  # tags of sentences: found, and wanted


def measure_tagger(
    model: Tagger, dataset: Dataset, tagging: Tagging, published: str
) -> tuple[Metric, ...]:
    """Measures every test split.

    Args:
        model: what to measure.
        dataset: its data.
        tagging: what only taggers have of it.
        published: a figure to set beside the first; where sentences are judged, beside the
            second, so that the first two are told together (see stepwire_zoo.table).
    """
    assert dataset.tokenizer is not None
    vocabulary = Vocabulary(
        dataset.tokenizer, tagging.characters, dataset.labels, tagging.width, tagging.text_labels
    )
    metrics = [*figures(model, dataset.test, tagging, dataset.labels)]
    if tagging.finds_words:
        found = cutting(tagging.test, vocabulary)
        name = "F1 of words cut from raw text"
        metrics.append(Metric(name=name, value=found, unit="share", split="test"))
    for name, sentences in tagging.others.items():
        texts = TaggedTexts(Encoder(vocabulary)(sentences), EVALUATION_ROWS)
        metrics += figures(model, texts, tagging, dataset.labels, name)[:1]
    place = 1 if tagging.text_labels else 0
    metrics[place] = replace(metrics[place], published=published)
    return tuple(metrics)


def figures(
    model: Tagger, texts: Batches, tagging: Tagging, labels: tuple[str, ...], split: str = "test"
) -> list[Metric]:
    """The figures of one split; that of entities first, if the labels are of entities."""
    if isinstance(model, JointTagger):
        return joint_figures(model, texts, labels, split)
    score, unit = evaluate(model, texts), tagging.unit
    metrics = [
        Metric(name="accuracy", value=score.accuracy or 0.0, unit=f"share of {unit}", split=split),
        Metric(
            name="loss", value=score.loss, unit=f"nats per {unit.removesuffix('s')}", split=split
        ),
    ]
    if any(label.startswith("B-") for label in labels):
        metrics = [*_of_entities(tagged(model, texts, labels), tagging, split), *metrics]
    return metrics


def _of_entities(tags: Pairs, tagging: Tagging, split: str) -> list[Metric]:
    """How many entities are found; of characters also as KLUE counts."""
    counts = {"entity F1": f1}
    if tagging.unit == "characters":
        counts |= {"entity F1, mean of types": mean_f1, "character F1, mean of tags": mean_tag_f1}
    return [
        Metric(name=name, value=count(*tags), unit="share", split=split)
        for name, count in counts.items()
    ]


def tagged(model: Tagger, texts: Batches, labels: tuple[str, ...]) -> Pairs:
    """What each sentence of a split was tagged as, and should have been."""
    found, wanted = [], []
    model.eval()
    for step in range(len(texts)):
        inputs, targets, _ = texts.batch(step, Shard())
        lengths = inputs[2]
        with torch.inference_mode():
            logits, _ = model(*inputs, model.start(len(targets)))
        found += [[labels[tag] for tag in row] for row in model.likeliest(logits, lengths)]
        wanted += [
            [labels[tag] for tag in row[:length]]
            for row, length in zip(targets.tolist(), lengths.tolist(), strict=True)
        ]
    return found, wanted


def cutting(sentences: list[Sentence], vocabulary: Vocabulary) -> float:
    """How many words the tokenizer finds in texts, between begin and end, as the treebank has it.

    The harmonic mean of the share of its words that are right and of the right ones it finds.
    """
    right = found = wanted = 0
    for sentence in sentences:
        cut = set(vocabulary.words.encode(sentence.text).offsets)
        spans = set(sentence.spans)
        right, found, wanted = right + len(cut & spans), found + len(cut), wanted + len(spans)
    return 2 * right / (found + wanted)
