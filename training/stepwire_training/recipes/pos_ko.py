"""pos-ko: parts of speech of Korean eojeols."""

from stepwire_training.data.kaist import Kaist
from stepwire_training.data.tagged import Reading
from stepwire_training.models.tagger import Tagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes.pos_en import BUCKETS
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="The part of speech of every Korean eojeol: a bidirectional LSTM.",
    about="",
    tokens="",
    split="",
    caveats="",
    published="",
    languages=("ko",),
    sources=(
        Dataset(
            name="KAIST treebank with Universal Dependencies",
            licence="CC-BY-SA-4.0",
            home="https://github.com/emorynlp/ud-korean",
        ),
    ),
    limits=Limits(max_input_tokens=512),
    buckets=BUCKETS,
    half=True,
    licence="CC-BY-SA-4.0",
)


def recipe() -> Recipe:
    """Words and syllables, two layers of 192 units a direction."""
    return Recipe(
        bundle="pos-ko",
        publication=PUBLICATION,
        data=Kaist(
            reading=Reading(
                cutting="korean", vocabulary=26_000, vectors=100, characters=12, rows=64, seed=1
            )
        ),
        model=Tagger.Config(
            layers=2,
            hidden=192,
            learned=8_000,
            embedding=100,
            vectors=100,
            character=48,
            widths=(2, 3, 4),
            filters=100,
            word_dropout=0.25,
            input_dropout=0.3,
            layer_dropout=0.35,
            weight_dropout=0.25,
            output_dropout=0.4,
        ),
        steps=7_200,
        learning_rate=2e-3,
        label_smoothing=0.05,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=400,
        seed=1,
    )
