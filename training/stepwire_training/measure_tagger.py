"""The figures of a tagger: the share of words that get their tag, and of words that are found."""

from stepwire_training.data.batches import Dataset, Tagging
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.tagged import EVALUATION_ROWS, Encoder, TaggedTexts, Vocabulary
from stepwire_training.evaluate import evaluate
from stepwire_training.models.tagger import Tagger
from stepwire_zoo.manifest import Metric

WORDS = "share of words"


def measure_tagger(
    model: Tagger, dataset: Dataset, tagging: Tagging, published: str
) -> tuple[Metric, ...]:
    """Measures every test split.

    Args:
        model: what to measure.
        dataset: its data.
        tagging: what only taggers have of it.
        published: a figure to set beside the first.
    """
    assert dataset.tokenizer is not None
    vocabulary = Vocabulary(dataset.tokenizer, tagging.characters, dataset.labels, tagging.width)
    score = evaluate(model, dataset.test)
    metrics = [
        Metric(
            name="accuracy",
            value=score.accuracy or 0.0,
            unit=WORDS,
            split="test",
            published=published,
        ),
        Metric(name="loss", value=score.loss, unit="nats per word", split="test"),
        Metric(
            name="F1 of words cut from raw text",
            value=cutting(tagging.test, vocabulary),
            unit="share",
            split="test",
        ),
    ]
    for name, sentences in tagging.others.items():
        texts = TaggedTexts(Encoder(vocabulary)(sentences), EVALUATION_ROWS)
        accuracy = evaluate(model, texts).accuracy or 0.0
        metrics.append(Metric(name="accuracy", value=accuracy, unit=WORDS, split=name))
    return tuple(metrics)


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
