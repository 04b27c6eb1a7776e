"""Recipes that take seconds, for tests and for a first look at a run."""

from dataclasses import replace

from stepwire_training.data.along import Along
from stepwire_training.data.cells import Near
from stepwire_training.data.corpus import Counted
from stepwire_training.data.counting import CountedText
from stepwire_training.data.parallel import Cutting
from stepwire_training.data.series import Cut
from stepwire_training.data.sst2 import Sentences as Cutter
from stepwire_training.data.tagged import Reading
from stepwire_training.data.tiny import (
    Clauses,
    Countdowns,
    Farm,
    Opinions,
    Pulses,
    Sentences,
    Tides,
    Verdicts,
)
from stepwire_training.data.windows import Beside
from stepwire_training.models.attentive import AttentiveClassifier
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.ngram import Ngram
from stepwire_training.models.stream_classifier import StreamClassifier
from stepwire_training.models.tagger import Tagger
from stepwire_training.models.transformer_translator import TransformerTranslator
from stepwire_training.models.translator import Translator
from stepwire_training.models.window_transformer import WindowTransformer
from stepwire_training.models.word_vectors import CountFitting, NoiseContrast
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

SOURCE = Dataset(
    name="sentences made up by the code",
    licence="Apache-2.0",
    home="https://github.com/stepwire/stepwire",
)
PUBLICATION = Publication(
    summary="A toy: short sentences made up by the code.",
    about="Shows in seconds what a run does.",
    tokens="Of the smallest kind.",
    split="The last tenth, or another seed.",
    caveats="Anything.",
    published="none",
    languages=("en",),
    sources=(SOURCE,),
    limits=Limits(max_input_tokens=64, max_new_tokens=64),
    buckets=(8, 16, 32, 64),
)


def generator() -> Recipe:
    """Characters of a few made-up sentences."""
    return Recipe(
        bundle="tiny",
        publication=PUBLICATION,
        data=Sentences(rows=8, length=24, seed=1),
        model=LanguageModel.Config(
            cell="lstm",
            layers=2,
            hidden=32,
            embedding=16,
            token_dropout=0.02,
            layer_dropout=0.05,
            output_dropout=0.05,
            weight_dropout=0.05,
        ),
        steps=150,
        learning_rate=2e-2,
        ema_decay=0.9,
        evaluate_every=25,
        bf16=False,
    )


def ngram() -> Recipe:
    """The same characters, counted in threes."""
    return Recipe(
        bundle="tiny-ngram",
        publication=replace(PUBLICATION, limits=replace(PUBLICATION.limits, reach=2)),
        data=CountedText(text=Sentences(rows=1, length=24, seed=1)),
        model=Ngram.Config(order=3),
        steps=1,
        learning_rate=0.0,
        evaluate_every=1,
        bf16=False,
    )


def window() -> Recipe:
    """The same characters, by a transformer that sees eight of them."""
    model = WindowTransformer.Config(embedding=16, layers=2, heads=2, wide=32, window=8)
    return Recipe(
        bundle="tiny-window",
        publication=replace(PUBLICATION, limits=replace(PUBLICATION.limits, reach=model.reach)),
        data=Sentences(rows=8, length=24, seed=1),
        model=model,
        steps=60,
        learning_rate=1e-2,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )


def visible() -> Recipe:
    """The same characters once more, by normalised cells whose memory can be seen."""
    return replace(
        generator(),
        bundle="tiny-visible",
        model=LanguageModel.Config(
            cell="ln-lstm", layers=2, hidden=8, embedding=8, shows_memory=True
        ),
        steps=20,
        evaluate_every=10,
    )


def classifier() -> Recipe:
    """Whether a made-up sentence is friendly."""
    return Recipe(
        bundle="tiny-classifier",
        publication=PUBLICATION,
        data=Verdicts(rows=16, seed=1),
        model=Classifier.Config(
            encoder=Encoder.Config(layers=2, hidden=16, embedding=16, embedding_dropout=0.1)
        ),
        steps=120,
        learning_rate=1e-2,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )


def attentive() -> Recipe:
    """The same, told by the words that were looked at."""
    return Recipe(
        bundle="tiny-attentive",
        publication=replace(PUBLICATION, half=True),
        data=Opinions(cutting=Cutter(vocabulary=100, about=6, beside=4, rows=16, seed=1)),
        model=AttentiveClassifier.Config(
            readers=2,
            layers=1,
            hidden=16,
            learned=20,
            embedding=8,
            vectors=10,
            units=8,
            word_dropout=0.1,
            input_dropout=0.05,
            weight_dropout=0.05,
            output_dropout=0.05,
        ),
        steps=120,
        learning_rate=1e-2,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )


def stream() -> Recipe:
    """The same sentences, judged after every token."""
    return Recipe(
        bundle="tiny-stream",
        publication=replace(PUBLICATION, limits=Limits(max_input_tokens=64), buckets=()),
        data=Along(texts=Verdicts(rows=16, seed=1)),
        model=StreamClassifier.Config(
            cell="lstm", layers=2, hidden=16, embedding=16, embedding_dropout=0.1, lean=1.0
        ),
        steps=120,
        learning_rate=1e-2,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )


def tagger() -> Recipe:
    """The words of short clauses."""
    return Recipe(
        bundle="tiny-tagger",
        publication=replace(
            PUBLICATION, limits=Limits(max_input_tokens=16), buckets=(4, 8, 16), half=True
        ),
        data=Clauses(
            reading=Reading(
                cutting="english", vocabulary=60, vectors=8, characters=6, rows=16, seed=1
            )
        ),
        model=Tagger.Config(
            layers=2,
            hidden=16,
            learned=20,
            embedding=8,
            vectors=8,
            character=8,
            widths=(2, 3),
            filters=8,
            word_dropout=0.1,
            input_dropout=0.05,
            layer_dropout=0.05,
            weight_dropout=0.05,
            output_dropout=0.05,
        ),
        steps=120,
        learning_rate=1e-2,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )


def joint() -> Recipe:
    """The words of the same clauses, and what each clause is about."""
    plain = tagger()
    assert isinstance(plain.data, Clauses)
    assert isinstance(plain.model, Tagger.Config)
    return replace(
        plain,
        bundle="tiny-joint",
        data=replace(plain.data, judged=True),
        model=JointTagger.Config(**vars(plain.model), text_labels=2),
    )


def vectors() -> Recipe:
    """Vectors of words and of their parts, by telling the words around a word."""
    return Recipe(
        bundle="tiny-vectors",
        publication=replace(
            PUBLICATION, limits=Limits(max_input_tokens=16), buckets=(1, 8, 16), int8_tables=True
        ),
        data=Farm(
            counted=Counted(cutting="english", parts=100, in_words=2, most_parts=16),
            learned=Beside(telling="around", window=3, thin=0.0, rows=64, noise=16),
        ),
        model=NoiseContrast.Config(size=8, made_of=17),
        steps=120,
        learning_rate=0.3,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )


def bag_of_words() -> Recipe:
    """Vectors of whole words, by telling the word that others stand around."""
    recipe = vectors()
    data = Farm(
        counted=Counted(cutting="english"),
        learned=Beside(telling="centre", window=3, thin=0.0, rows=64, noise=16),
    )
    return replace(recipe, bundle="tiny-cbow", data=data, model=NoiseContrast.Config(size=8))


def glove() -> Recipe:
    """Vectors of whole words, from how often they stand near one another."""
    data = Farm(counted=Counted(cutting="english"), learned=Near(window=3, rows=128))
    model = CountFitting.Config(size=8)
    return replace(vectors(), bundle="tiny-glove", data=data, model=model, learning_rate=0.1)


def translator() -> Recipe:
    """A few digits, written from their end."""
    return Recipe(
        bundle="tiny-translator",
        publication=replace(PUBLICATION, languages=("en", "en"), half=True),
        data=Countdowns(cutting=Cutting(vocabulary=30, rows=32, seed=1)),
        model=Translator.Config(
            encoder=Encoder.Config(layers=1, hidden=32, embedding=48, embedding_dropout=0.05),
            layers=2,
            hidden=64,
        ),
        steps=260,
        learning_rate=2e-2,
        label_smoothing=0.05,
        ema_decay=0.9,
        evaluate_every=65,
        bf16=False,
    )


def answerer() -> Recipe:
    """The same by a transformer, as one of many answers."""
    return replace(
        translator(),
        bundle="tiny-answerer",
        data=Countdowns(cutting=Cutting(vocabulary=30, rows=32, seed=1), free=True),
        model=TransformerTranslator.Config(
            embedding=32, encoder_layers=1, layers=2, heads=2, wide=48, window=4
        ),
        steps=130,
        learning_rate=1e-2,
        label_smoothing=0.0,
    )


def forecaster() -> Recipe:
    """Four rows ahead of two columns that rise and fall together."""
    return Recipe(
        bundle="tiny-forecaster",
        publication=replace(PUBLICATION, languages=()),
        data=Tides(cut=Cut(rows=16, length=32, skip=4, horizon=4), seed=1),
        model=Forecaster.Config(
            cell="lstm",
            layers=2,
            hidden=16,
            lags=6,
            memory=24.0,
            unit="constant",
            layer_dropout=0.05,
            output_dropout=0.05,
            weight_dropout=0.05,
        ),
        steps=120,
        learning_rate=1e-2,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )


def anomaly() -> Recipe:
    """The next value of streams at many scales, and how surprising it is."""
    return Recipe(
        bundle="tiny-anomaly",
        publication=replace(PUBLICATION, languages=()),
        data=Pulses(cut=Cut(rows=16, length=48, skip=8, horizon=1), seed=1),
        model=Forecaster.Config(
            cell="gru",
            layers=1,
            hidden=16,
            lags=4,
            memory=100.0,
            unit="running",
            output_dropout=0.05,
            least_spread=0.3,
            outlier=5.0,
        ),
        steps=120,
        learning_rate=1e-2,
        ema_decay=0.9,
        evaluate_every=30,
        bf16=False,
    )
