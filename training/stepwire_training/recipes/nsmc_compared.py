"""The architectures that a course teaches, on one task: film reviews, negative or positive.

All but naive Bayes read the same tokens, begin from the same word vectors, have about as many
parameters (most of them the 2,048,128 of the embedding) and learn from the same batches for as
many steps. docs/sentiment_compared.md tells what came of it.
"""

from dataclasses import replace
from typing import NamedTuple

from stepwire_training.data.counted import Counted
from stepwire_training.data.nsmc import Reviews
from stepwire_training.models.convolution import Convolution
from stepwire_training.models.naive_bayes import NaiveBayes
from stepwire_training.models.normalised_lstm import NormalisedLstm
from stepwire_training.models.one_way import OneWay
from stepwire_training.models.transformer import Transformer
from stepwire_training.recipe import Model, Recipe
from stepwire_training.recipes import nsmc_bilstm
from stepwire_zoo.manifest import Limits

# Reviews have up to 140 characters; what attention costs grows with the square of the length.
BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
TOKENS = """\
16,000 byte-pair tokens over NFC syllables, those of `nsmc-bilstm`; the normaliser is in the \
tokenizer file. Characters outside the vocabulary are one unknown token."""
APART = """\
While training, tokens are taken apart at random into those they were merged from, so that a word \
is known in many spellings. The embedding begins from word vectors that are made of the training \
reviews in half a minute."""
REVIEWS = Reviews(tokens="bpe", vocabulary=16_000, rows=128, take_apart=0.25, vectors=128, seed=1)

READER = OneWay.Config(
    cell="lstm",
    hidden=192,
    embedding=128,
    token_dropout=0.1,
    embedding_dropout=0.2,
    weight_dropout=0.1,
    output_dropout=0.5,
)


class Words(NamedTuple):
    """What a bundle of the comparison says about itself."""

    kind: str  # completes the summary
    about: str


def convolution() -> Recipe:
    """Three widths of a hundred filters, as in Kim (2014)."""
    return _recipe(
        "nsmc-cnn",
        Convolution.Config(
            embedding=128,
            widths=(3, 4, 5),
            filters=100,
            token_dropout=0.1,
            embedding_dropout=0.2,
            output_dropout=0.5,
        ),
        Words(
            "a convolution over words",
            "Filters look at three, four and five tokens at a time, as in Kim (2014); of each only "
            "its strongest answer in the whole text counts. Which phrases there are decides, not "
            "where they stand.",
        ),
    )


def plain() -> Recipe:
    """The plain recurrent cell, with as many weights as the LSTM."""
    return _recipe(
        "nsmc-rnn",
        replace(READER, cell="rnn", hidden=432),
        Words(
            "a plain recurrent network",
            "One layer of tanh cells reads the text once, from its beginning; the state behind the "
            "last token is all that the label is told by.",
        ),
    )


def lstm() -> Recipe:
    """One layer of LSTM."""
    return _recipe(
        "nsmc-lstm",
        READER,
        Words(
            "an LSTM that reads once",
            "One LSTM layer reads the text once, from its beginning; the state behind the last "
            "token is all that the label is told by.",
        ),
    )


def gru() -> Recipe:
    """One layer of GRU."""
    return _recipe(
        "nsmc-gru",
        replace(READER, cell="gru", hidden=224),
        Words(
            "a GRU that reads once",
            "One GRU layer reads the text once, from its beginning; the state behind the last "
            "token is all that the label is told by.",
        ),
    )


def normalised() -> Recipe:
    """The LSTM with its gates and its memory normalised at every token."""
    return _recipe(
        "nsmc-ln-lstm",
        NormalisedLstm.Config(
            embedding=128,
            hidden=192,
            token_dropout=0.1,
            embedding_dropout=0.2,
            weight_dropout=0.1,
            output_dropout=0.5,
        ),
        Words(
            "a layer-normalised LSTM",
            "The LSTM of `nsmc-lstm` with three norms at every token, as in Ba et al. (2016): of "
            "what comes from the token, of what comes from the state, and of the memory.",
        ),
    )


def transformer() -> Recipe:
    """Two layers of four heads."""
    return _recipe(
        "nsmc-transformer",
        Transformer.Config(
            embedding=128,
            layers=2,
            heads=4,
            wide=256,
            token_dropout=0.1,
            embedding_dropout=0.2,
            layer_dropout=0.1,
            output_dropout=0.5,
        ),
        Words(
            "a small transformer encoder",
            "Two layers in which every token looks at every other with four heads (Vaswani et al., "
            "2017; norms first, Xiong et al., 2020); what they are in the end is averaged.",
        ),
    )


def bayes() -> Recipe:
    """Counts of single tokens; one step, which moves nothing, because loops need one."""
    words = Words(
        "naive Bayes",
        "A table of what each token says for each label, summed up over the text: the logarithms "
        "of how often it stood in reviews of that label, counted once (scikit-learn's multinomial "
        "naive Bayes). The order of the tokens makes no difference. Its probabilities are far too "
        "sure, because tokens that go together are counted as if each were news: see the loss.",
    )
    recipe = _recipe("nsmc-bayes", NaiveBayes.Config(), words)
    return replace(
        recipe,
        publication=replace(recipe.publication, tokens=TOKENS, half=False),
        data=Counted(texts=replace(REVIEWS, take_apart=0.0, vectors=0)),
        steps=1,
        learning_rate=0.0,
        evaluate_every=1,
        bf16=False,
    )


def _recipe(bundle: str, model: Model, words: Words) -> Recipe:
    publication = replace(
        nsmc_bilstm.PUBLICATION,
        summary=f"Whether a Korean movie review is negative or positive: {words.kind}.",
        about=f"{words.about} One of several architectures that are compared on this task, in "
        "`docs/sentiment_compared.md`.",
        tokens=f"{TOKENS} {APART}",
        published="",
        limits=Limits(max_input_tokens=BUCKETS[-1]),
        buckets=BUCKETS,
        half=True,
        comparison="",
    )
    return Recipe(
        bundle=bundle,
        publication=publication,
        data=REVIEWS,
        model=model,
        steps=3_000,
        learning_rate=1.5e-3,
        label_smoothing=0.1,
        weight_decay=0.02,
        evaluate_every=500,
        seed=1,
    )
