"""pos-en: parts of speech of English words."""

from stepwire_training.data.ewt import EnglishWeb
from stepwire_training.data.tagged import Reading
from stepwire_training.models.tagger import Tagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

BUCKETS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)

PUBLICATION = Publication(
    summary="The part of speech of every English word: a bidirectional LSTM.",
    about="",
    tokens="",
    split="",
    caveats="",
    published="",
    languages=("en",),
    sources=(
        Dataset(
            name="UD English-EWT",
            licence="CC-BY-SA-4.0",
            home="https://github.com/UniversalDependencies/UD_English-EWT",
        ),
    ),
    limits=Limits(max_input_tokens=512),
    buckets=BUCKETS,
    half=True,
    licence="CC-BY-SA-4.0",
)


def recipe() -> Recipe:
    """Words and characters, two layers of 192 units a direction."""
    return Recipe(
        bundle="pos-en",
        publication=PUBLICATION,
        data=EnglishWeb(
            reading=Reading(
                cutting="english", vocabulary=30_000, vectors=100, characters=16, rows=32, seed=1
            )
        ),
        model=Tagger.Config(
            layers=2,
            hidden=192,
            learned=8_000,
            embedding=100,
            vectors=100,
            character=32,
            widths=(3, 5),
            filters=100,
            word_dropout=0.25,
            input_dropout=0.3,
            layer_dropout=0.35,
            weight_dropout=0.25,
            output_dropout=0.4,
        ),
        steps=9_000,
        learning_rate=2e-3,
        label_smoothing=0.05,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=500,
        seed=1,
    )
