"""Publishes a trained model: graph, golden case, card. No parity, no bundle."""

import math
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from stepwire_training import card, journal
from stepwire_training.data.along import AskedAlong
from stepwire_training.data.batches import Dataset, TextStream
from stepwire_training.data.tokens import UNKNOWN
from stepwire_training.evaluate import Score, evaluate
from stepwire_training.finished import Finished
from stepwire_training.measure import Measured, measure
from stepwire_training.measure_along import measure_along
from stepwire_training.measure_answers import PERPLEXITY
from stepwire_training.measure_classes import confusion, macro_f1
from stepwire_training.measure_series import figures
from stepwire_training.measure_tagger import measure_tagger
from stepwire_training.measure_vectors import measure_vectors
from stepwire_training.models.cached import CachedLanguageModel
from stepwire_training.models.chain_tagger import ChainTagger
from stepwire_training.models.encoder_decoder import EncoderDecoder
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.models.network import Network
from stepwire_training.models.tagger import Tagger
from stepwire_training.models.word_vectors import WordVectors
from stepwire_training.prove import prove
from stepwire_training.prove_series import series_of
from stepwire_training.prove_tagger import chain_of
from stepwire_training.proved import GOLDEN, Proved
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.bundle import Bundle, write_bundle
from stepwire_zoo.golden import pack
from stepwire_zoo.manifest import (
    FORMAT,
    NO_TOKENIZER,
    Manifest,
    Metric,
    Provenance,
    Subwords,
    Tokenizer,
)
from stepwire_zoo.spelling import PADDING

CURVE = "learning_curve.png"
NOTHING: Mapping[str, float] = MappingProxyType({})


def publish(finished: Finished, zoo: Path) -> Bundle:
    """Makes a bundle of a finished run.

    Args:
        finished: the run.
        zoo: the repository of bundles.

    Returns:
        The bundle, as a reader opens it.

    Raises:
        ParityError: the graph does not compute what the model computes.
    """
    model = finished.model()
    proved = prove(finished.recipe, model, finished.dataset)
    measured = measured_of(finished.recipe, finished.dataset, model)
    manifest = describe(finished, proved, measured, model)
    text = card.write(manifest, finished, proved, measured.signatures)
    files = {
        **{graph.file: proved.contents[role] for role, graph in proved.graphs.items()},
        **tokenizer_files(manifest, finished.dataset),
        GOLDEN.file: pack(proved.cases),
        CURVE: journal.curve(finished.recipe.bundle, finished.progress),
        "CARD.md": text.encode(),
    }
    return write_bundle(zoo / manifest.name / manifest.version, manifest, files)


def tokenizer_files(manifest: Manifest, dataset: Dataset) -> dict[str, bytes]:
    """The tokenizers by the names of their files; none where a series is read."""
    if dataset.tokenizer is None:
        return {}
    files = {manifest.tokenizer.file: dataset.tokenizer.to_str().encode()}
    if manifest.source_tokenizer and dataset.translations:
        content = dataset.translations.source_tokenizer.to_str()
        files[manifest.source_tokenizer.file] = content.encode()
    if manifest.characters and dataset.tagging:
        files[manifest.characters.file] = dataset.tagging.characters.to_str().encode()
    if manifest.subwords and dataset.worded and dataset.worded.known.parts:
        files[manifest.subwords.tokenizer.file] = dataset.worded.known.parts.to_str().encode()
    return files


def measured_of(
    recipe: Recipe, dataset: Dataset, model: Network, decoding: Mapping[str, float] = NOTHING
) -> Measured:
    """The figures of the splits that are measured once.

    Args:
        recipe: of the model.
        dataset: whose splits they are.
        model: what is measured.
        decoding: options that were chosen before; what is left out is chosen now.
    """
    about = recipe.publication
    if isinstance(model, EncoderDecoder) and dataset.translations:
        return measure(model, dataset.translations, about, decoding.get("length_penalty"))
    if isinstance(model, Tagger) and dataset.tagging:
        return Measured(measure_tagger(model, dataset, dataset.tagging, about.published), {}, {})
    if isinstance(model, WordVectors) and dataset.worded:
        return Measured(measure_vectors(model, dataset.worded, about.published), {}, {})
    if isinstance(dataset.test, AskedAlong):
        return Measured(measure_along(model, dataset.test, about.published), {}, {})
    if isinstance(model, Forecaster) and dataset.series:
        return Measured(figures(model, dataset.series, about.published), {}, {})
    score = evaluate(model, dataset.test)
    figured = metrics(score, dataset.labels, about)
    if dataset.words:
        by_word = perplexities(model, score, dataset, about)
        figured = (*by_word, replace(figured[0], published=""), *figured[1:])
    if len(dataset.labels) > 2:  # of which some may be rare
        found = confusion(model, dataset.test, len(dataset.labels))
        rare = Metric(name="macro F1", value=macro_f1(found), unit="share", split="test")
        figured = (figured[0], rare, *figured[1:])
    return Measured(figured, {}, {})


def describe(finished: Finished, proved: Proved, measured: Measured, model: Network) -> Manifest:
    """Everything the manifest says, but the digests of the files."""
    about = finished.recipe.publication
    return Manifest(
        format=FORMAT,
        name=finished.recipe.bundle,
        version=about.version,
        task=task(finished.dataset),
        summary=about.summary,
        architecture=finished.recipe.model.architecture,
        licence=about.licence,
        languages=about.languages,
        graphs=proved.graphs,
        tokenizer=tokenizer(finished),
        source_tokenizer=source_tokenizer(finished.dataset),
        limits=about.limits,
        golden=GOLDEN,
        metrics=with_runs(measured.metrics, finished.others),
        provenance=provenance(finished, sum(part.numel() for part in model.parameters())),
        labels=finished.dataset.labels,
        text_labels=finished.dataset.tagging.text_labels if finished.dataset.tagging else (),
        decoding=measured.decoding,
        characters=characters(finished.dataset),
        chain=chain_of(model) if isinstance(model, ChainTagger) else None,
        series=series_of(finished.dataset.series) if finished.dataset.series else None,
        subwords=subwords(finished.dataset),
    )


def with_runs(
    metrics: tuple[Metric, ...], others: tuple[tuple[Metric, ...], ...]
) -> tuple[Metric, ...]:
    """The figures of the published run, each with those of the runs with other seeds."""
    if not others:
        return metrics
    return tuple(
        replace(first, runs=(first.value, *(metric.value for metric in rest)))
        for first, *rest in zip(metrics, *others, strict=True)
    )


def task(dataset: Dataset) -> str:
    """What a model that has learned from a data set does."""
    if dataset.translations:
        return "translation"
    if dataset.series:
        return "forecasting"
    if dataset.tagging:
        return "tagging"
    if dataset.worded:
        return "embedding"
    return "classification" if dataset.labels else "generation"


def tokenizer(finished: Finished) -> Tokenizer:
    """What the tokenizer file holds; a generator takes known characters only."""
    content, begin = finished.dataset.tokenizer, finished.recipe.publication.begin
    if content is None:
        return NO_TOKENIZER
    unknown = content.token_to_id(UNKNOWN)
    translations = finished.dataset.translations
    if translations:
        return Tokenizer(
            file="tokenizer.json",
            vocabulary_size=content.get_vocab_size(),
            begin=translations.begin,
            end=translations.end,
            unknown=unknown,
            suppressed=translations.suppressed,
        )
    generates = task(finished.dataset) == "generation"
    return Tokenizer(
        file="tokenizer.json",
        vocabulary_size=content.get_vocab_size(),
        begin=content.token_to_id(begin) if begin else None,
        unknown=unknown,
        accepts_unknown=not generates,
        suppressed=(unknown,) if generates and unknown is not None else (),
    )


def source_tokenizer(dataset: Dataset) -> Tokenizer | None:
    """What the file of the sources' own tokenizer holds."""
    content = dataset.translations.own_source_tokenizer if dataset.translations else None
    if content is None:
        return None
    return Tokenizer(
        file="source_tokenizer.json",
        vocabulary_size=content.get_vocab_size(),
        unknown=content.token_to_id(UNKNOWN),
    )


def characters(dataset: Dataset) -> Tokenizer | None:
    """What the file holds by which a tagger cuts words into characters."""
    if dataset.tagging is None:
        return None
    return Tokenizer(
        file="characters.json",
        vocabulary_size=dataset.tagging.characters.get_vocab_size(),
        unknown=dataset.tagging.characters.token_to_id(UNKNOWN),
        pad=PADDING,
    )


def subwords(dataset: Dataset) -> Subwords | None:
    """What the file holds of parts of words."""
    known = dataset.worded.known if dataset.worded else None
    if known is None or known.parts is None:
        return None
    size = known.parts.get_vocab_size()
    return Subwords(
        tokenizer=Tokenizer(file="subwords.json", vocabulary_size=size),
        shortest=known.counted.shortest,
        longest=known.counted.longest,
    )


def metrics(score: Score, labels: tuple[str, ...], about: Publication) -> tuple[Metric, ...]:
    """The figures of the split that is measured once."""
    accuracy, loss, published = score.accuracy or 0.0, score.loss, about.published
    split = about.measured_on
    if labels:
        return (
            Metric(
                name="accuracy", value=accuracy, unit="share", split="test", published=published
            ),
            Metric(name="loss", value=loss, unit="nats per text", split="test"),
        )
    return (
        Metric(name="loss", value=loss, unit="nats per token", split=split, published=published),
        Metric(name="accuracy", value=accuracy, unit="share of next tokens", split=split),
    )


def perplexities(
    model: Network, score: Score, dataset: Dataset, about: Publication
) -> tuple[Metric, ...]:
    """Of the words of the test text; without what a model carries beside its state, too."""
    whole = by_words(score, dataset, about)
    if not isinstance(model, CachedLanguageModel):
        return (whole,)
    alone = by_words(evaluate(model.model, dataset.test), dataset, about)
    return whole, replace(alone, name=f"{PERPLEXITY} without the cache", published="")


def by_words(score: Score, dataset: Dataset, about: Publication) -> Metric:
    """Perplexity of the words of a text, whatever its tokens are."""
    assert isinstance(dataset.test, TextStream)
    nats = score.loss * (len(dataset.test.ids) - 1)
    return Metric(
        name=PERPLEXITY,
        value=math.exp(nats / dataset.words),
        unit="per word",
        split=about.measured_on,
        published=about.published,
    )


def provenance(finished: Finished, parameters: int) -> Provenance:
    """How the bundle was made."""
    recipe, seeds = finished.recipe, 1 + len(finished.others)
    return Provenance(
        recipe=recipe.bundle,
        command=f"make train RECIPE={recipe.bundle}" + (f" SEEDS={seeds}" if seeds > 1 else ""),
        commit=commit(),
        seed=recipe.seed,
        parameters=parameters,
        training_seconds=round(finished.progress.seconds, 1),
        machine=finished.machine,
        data=recipe.publication.sources,
    )


def commit() -> str:
    """The commit of this checkout, or `unknown` outside of one."""
    command = ["git", "rev-parse", "HEAD"]
    folder = Path(__file__).parent
    try:
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
