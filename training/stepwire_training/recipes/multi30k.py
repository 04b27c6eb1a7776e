"""multi30k-en-de and multi30k-en-fr: captions of photographs, translated."""

from typing import Literal

from stepwire_training.data.multi30k import Captions
from stepwire_training.data.parallel import Cutting
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

LANGUAGES = {"de": "German", "fr": "French"}
PUBLISHED = {
    "de": "38.1 on test_2016, 30.8 on test_2017: a text-only GRU system, tokenised, lower-cased",
    "fr": "52.5 on test_2016, 50.4 on test_2017: a text-only GRU system, tokenised, lower-cased",
}


def english_to_german() -> Recipe:
    """Captions from English to German."""
    return _recipe("de")


def english_to_french() -> Recipe:
    """Captions from English to French."""
    return _recipe("fr")


def _recipe(into: Literal["de", "fr"]) -> Recipe:
    # German needs more of everything; French follows English closely.
    dropout = 0.4 if into == "de" else 0.3
    return Recipe(
        bundle=f"multi30k-en-{into}",
        publication=_publication(into),
        data=Captions(
            into=into, cutting=Cutting(vocabulary=4_000, rows=96, take_apart=0.1, seed=1)
        ),
        model=Translator.Config(
            encoder=Encoder.Config(
                layers=1,
                hidden=256,
                embedding=256,
                token_dropout=0.1 if into == "de" else 0.05,
                embedding_dropout=0.3 if into == "de" else 0.2,
                layer_dropout=0.3,
                weight_dropout=0.2 if into == "de" else 0.1,
            ),
            layers=2,
            hidden=384,
            layer_dropout=dropout,
            output_dropout=dropout,
        ),
        steps=6_000 if into == "de" else 4_500,
        learning_rate=1.5e-3 if into == "de" else 2e-3,
        weight_decay=0.02,
        label_smoothing=0.1,
        evaluate_every=500,
        seed=1,
    )


def _publication(into: str) -> Publication:
    return Publication(
        summary=f"English captions of photographs into {LANGUAGES[into]}: LSTMs with attention.",
        about="",
        tokens="",
        split="",
        caveats="",
        published=PUBLISHED[into],
        languages=("en", into),
        sources=(
            Dataset(
                name="Multi30k",
                licence="research and education only, not commercial",
                home="https://github.com/multi30k/dataset",
            ),
        ),
        limits=Limits(max_input_tokens=128, max_new_tokens=128),
        buckets=(4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
        half=True,
    )
