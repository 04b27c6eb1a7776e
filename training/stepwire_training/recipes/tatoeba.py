"""tatoeba-en-fr: everyday English sentences in French."""

from stepwire_training.data.parallel import Cutting
from stepwire_training.data.tatoeba import EnglishToFrench
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits


def recipe() -> Recipe:
    """Everyday sentences from English to French."""
    return Recipe(
        bundle="tatoeba-en-fr",
        publication=PUBLICATION,
        data=EnglishToFrench(cutting=Cutting(vocabulary=6_000, rows=192, take_apart=0.05, seed=1)),
        model=Translator.Config(
            encoder=Encoder.Config(
                layers=1,
                hidden=256,
                embedding=256,
                token_dropout=0.05,
                embedding_dropout=0.2,
                layer_dropout=0.2,
                weight_dropout=0.1,
            ),
            layers=2,
            hidden=384,
            layer_dropout=0.2,
            output_dropout=0.2,
        ),
        steps=5_000,
        learning_rate=2e-3,
        weight_decay=0.02,
        label_smoothing=0.1,
        evaluate_every=500,
        seed=1,
    )


PUBLICATION = Publication(
    summary="Everyday English sentences into French: LSTMs with attention.",
    about="",
    tokens="",
    split="",
    caveats="",
    published="",
    languages=("en", "fr"),
    sources=(
        Dataset(
            name="Tatoeba English-French, 2017-09-29",
            licence="CC-BY-2.0",
            home="https://www.manythings.org/anki/",
        ),
    ),
    limits=Limits(max_input_tokens=128, max_new_tokens=128),
    buckets=(4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
    half=True,
)
