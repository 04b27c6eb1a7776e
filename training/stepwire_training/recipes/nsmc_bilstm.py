"""nsmc-bilstm: Korean movie reviews, negative or positive."""

from stepwire_training.data.nsmc import Foretelling, Reviews
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.reader import Reader
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="Whether a Korean movie review is negative or positive: a bidirectional LSTM.",
    about="",
    tokens="",
    split="",
    caveats="",
    published="",
    languages=("ko",),
    sources=(
        Dataset(
            name="Naver sentiment movie corpus (NSMC)",
            licence="CC0-1.0",
            home="https://github.com/e9t/nsmc",
        ),
    ),
    limits=Limits(max_input_tokens=512),
    buckets=(8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512),
)


def reader() -> Recipe:
    """Foretells the neighbours of each token: the encoder learns Korean before it judges."""
    return Recipe(
        bundle="nsmc-reader",
        publication=PUBLICATION,
        data=Foretelling(
            reviews=Reviews(tokens="bpe", vocabulary=8_000, rows=128, take_apart=0.1, seed=1)
        ),
        model=Reader.Config(
            encoder=Encoder.Config(
                layers=2,
                hidden=192,
                embedding=128,
                token_dropout=0.1,
                embedding_dropout=0.1,
                layer_dropout=0.2,
                weight_dropout=0.1,
            ),
            output_dropout=0.2,
        ),
        steps=6_400,
        learning_rate=3e-3,
        weight_decay=0.01,
        evaluate_every=800,
        seed=1,
    )


def recipe() -> Recipe:
    """Reviews in 8,000 BPE tokens, two layers of 192 units a direction."""
    first = reader()
    return Recipe(
        bundle="nsmc-bilstm",
        publication=PUBLICATION,
        data=Reviews(tokens="bpe", vocabulary=8_000, rows=64, take_apart=0.15, seed=1),
        model=Classifier.Config(
            encoder=Encoder.Config(
                layers=2,
                hidden=192,
                embedding=128,
                token_dropout=0.1,
                embedding_dropout=0.2,
                layer_dropout=0.3,
                weight_dropout=0.2,
            ),
            output_dropout=0.4,
        ),
        steps=13_000,
        learning_rate=1e-3,
        weight_decay=0.02,
        evaluate_every=500,
        seed=1,
        after=first,
    )
