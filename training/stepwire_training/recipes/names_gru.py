"""names-gru: which language a surname comes from."""

from stepwire_training.data.names import Names
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="Which of 18 languages a surname comes from: a GRU over letters.",
    about="""\
Reads a surname letter by letter, from both ends, and says which of 18 languages it comes from: \
the task of PyTorch's tutorial on classifying names with a character RNN.""",
    tokens="""\
Letters, composed (NFC) and without their case, so that it makes no difference how a name is \
typed; accents are kept, since they tell much. Letters that were seen less than three times in \
training are one unknown.""",
    split="""\
The data has no split, and no figure is published that could be set beside these: split by lines, \
test names would have been learned by heart (2,000 Arabic lines are 108 names). Here every name \
is in one split alone, drawn by the seed: 15 % measure, 10 % choose. A name that is at home in \
several languages counts once in each, so nobody can be right about all of them.""",
    caveats="""\
More than half of the names are Russian, so accuracy is that of Russian names first of all; macro \
F1 counts all languages alike, and of some the test split has a dozen names. Names that were \
written in another alphabet are there as somebody spelled them in Latin letters. It says where a \
name comes from, as far as letters tell, and nothing about who bears it.""",
    published="",
    languages=(
        *("ar", "zh", "cs", "nl", "en", "fr", "de", "el", "ga", "it", "ja", "ko", "pl", "pt"),
        *("ru", "gd", "es", "vi"),
    ),
    sources=(
        Dataset(
            name="surnames of practical-pytorch (names-nationality)",
            licence="unstated (the repository: MIT)",
            home="https://github.com/spro/practical-pytorch/tree/master/data/names",
        ),
    ),
    limits=Limits(max_input_tokens=64),
    buckets=(8, 12, 16, 24, 32, 64),
    half=True,
)


def recipe() -> Recipe:
    """One layer of 128 units a direction."""
    return Recipe(
        bundle="names-gru",
        publication=PUBLICATION,
        data=Names(rows=64, seed=1),
        model=Classifier.Config(
            encoder=Encoder.Config(
                cell="gru",
                layers=1,
                hidden=128,
                embedding=64,
                token_dropout=0.1,
                embedding_dropout=0.1,
                weight_dropout=0.1,
            ),
            output_dropout=0.4,
        ),
        steps=4_000,
        learning_rate=2e-3,
        label_smoothing=0.05,
        weight_decay=0.02,
        evaluate_every=250,
        seed=1,
    )
