"""nsmc-bilstm: Korean movie reviews, negative or positive."""

from stepwire_training.data.nsmc import Kind, Reviews
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="Whether a Korean movie review is negative or positive: a bidirectional LSTM.",
    about="""\
Judges a short Korean text, as people write about films: slang, typing errors, strings of ㅋㅋㅋ \
and all. Two stacks of LSTM layers read it, one from each end; what they know at each token is \
averaged and maximised over the text, and one matrix product scores the two labels.""",
    tokens="""\
16,000 byte-pair tokens over NFC syllables, grown from the training reviews; the normaliser is in \
the tokenizer file. While training, tokens are taken apart at random into those they were merged \
from, so that a word is known in many spellings. Characters outside the vocabulary are one \
unknown token. The choice was measured: the same short run (one layer of 128 units a direction, \
one pass) with each kind of token, on the dev split \
(`python -m stepwire_training.compare_tokens`):""",
    split="""\
The official test split, whole. The official training file has no dev split: 10,000 reviews drawn \
by the seed choose tokens and weights, the rest is learned from. Many short reviews occur in both \
official files; those are dropped from training, so none of the test split was learned by heart. \
Three reviews of the test split are empty; they count, as a single unknown token.""",
    caveats="""\
It knows films, and reviews of one site up to 2015. Sarcasm, mixed feelings and other subjects \
mislead it, and some labels of the data are themselves doubtful: they are the writer's stars, not \
the text. There is no neutral label: a text without any judgement gets one all the same.""",
    published="86.5 % is the best that a BiLSTM was found to reach on this split",
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
    comparison="nsmc_tokens.csv",
)


def recipe() -> Recipe:
    """Reviews in 16,000 BPE tokens, two layers of 128 units a direction."""
    return Recipe(
        bundle="nsmc-bilstm",
        publication=PUBLICATION,
        data=Reviews(
            tokens="bpe", vocabulary=16_000, rows=128, take_apart=0.25, vectors=128, seed=1
        ),
        model=Classifier.Config(
            encoder=Encoder.Config(
                layers=2,
                hidden=128,
                embedding=128,
                token_dropout=0.15,
                embedding_dropout=0.3,
                layer_dropout=0.3,
                weight_dropout=0.2,
            ),
            output_dropout=0.5,
        ),
        steps=12_000,
        learning_rate=1.5e-3,
        label_smoothing=0.1,
        weight_decay=0.02,
        evaluate_every=1_200,
        seed=1,
    )


def short(tokens: Kind) -> Recipe:
    """One pass of a smaller model, to compare kinds of tokens."""
    return Recipe(
        bundle=f"nsmc-tokens-{tokens}",
        publication=PUBLICATION,
        data=Reviews(tokens=tokens, vocabulary=8_000, rows=64, seed=1),
        model=Classifier.Config(
            encoder=Encoder.Config(layers=1, hidden=128, embedding=128, embedding_dropout=0.2),
            output_dropout=0.3,
        ),
        steps=2_133,
        learning_rate=2e-3,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=711,
        seed=1,
    )
