"""multi30k-en-de and multi30k-en-fr: captions of photographs, translated."""

from typing import Literal

from stepwire_training.data.multi30k import Captions
from stepwire_training.data.parallel import Cutting
from stepwire_training.models.attention import Kind
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

LANGUAGES = {"de": "German", "fr": "French"}
PUBLISHED = {
    "de": "38.1, and 30.8 on test_2017: a text-only GRU system, tokenised and lower-cased",
    "fr": "52.5, and 50.4 on test_2017: a text-only GRU system, tokenised and lower-cased",
}
ABOUT = """\
Translates the caption of a photograph. A bidirectional LSTM reads the English sentence; a \
decoder of two LSTM layers writes the translation. The first layer looks at the sentence by \
general attention (Luong et al., 2015), the second reads what was found, and so do the scores. \
Where it looked can be asked for with each token."""
TOKENS = """\
4,000 byte-pair tokens that both languages share, grown from the training captions, cased. \
Punctuation stays apart from words inside the tokenizer, and decoding restores the text exactly. \
While training, tokens are taken apart at random into those they were merged from. The embedding \
is also the matrix that scores the next token."""
SPLIT = """\
The official split: 29,000 pairs to learn from, `val` to choose the weights and the length \
penalty, test_2016 and test_2017 (Flickr) measured once. The lower-cased figure cuts words as \
sacrebleu's 13a does and lowers case on both sides, which is the nearest to the published figures, \
whose texts were tokenised and lower-cased before training."""
CAVEATS = """\
It knows what captions speak of: people, dogs, streets, sports, in the present tense. Anything \
else it turns into a caption. **The data is for research and education, not for commercial use; \
so is this model.** The captions describe people as their writers saw them, and so does it."""


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
        steps=6_000,
        again=0 if into == "de" else 2_000,
        learning_rate=1.5e-3 if into == "de" else 2e-3,
        weight_decay=0.02,
        label_smoothing=0.1,
        evaluate_every=500,
        seed=1,
    )


def short(attention: Kind, *, input_feeding: bool = False) -> Recipe:
    """A few passes of a smaller model into German, to compare kinds of attention."""
    fed = "-fed" if input_feeding else ""
    return Recipe(
        bundle=f"multi30k-attention-{attention}{fed}",
        publication=_publication("de"),
        data=Captions(into="de", cutting=Cutting(vocabulary=4_000, rows=96, seed=1)),
        model=Translator.Config(
            encoder=Encoder.Config(layers=1, hidden=128, embedding=128, embedding_dropout=0.2),
            layers=2,
            hidden=256,
            attention=attention,
            input_feeding=input_feeding,
            layer_dropout=0.2,
            output_dropout=0.2,
        ),
        steps=900,
        learning_rate=3e-3,
        label_smoothing=0.1,
        ema_decay=0.998,
        evaluate_every=300,
        seed=1,
    )


def _publication(into: str) -> Publication:
    return Publication(
        summary=f"English captions of photographs into {LANGUAGES[into]}: LSTMs with attention.",
        about=ABOUT,
        tokens=TOKENS,
        split=SPLIT,
        caveats=CAVEATS,
        published=PUBLISHED[into],
        languages=("en", into),
        sources=(
            Dataset(
                name="Multi30k",
                licence="for research and education, non-commercial",
                home="https://github.com/multi30k/dataset",
            ),
        ),
        limits=Limits(max_input_tokens=128, max_new_tokens=128),
        buckets=(4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
        half=True,
        licence="LicenseRef-research-non-commercial",
    )
