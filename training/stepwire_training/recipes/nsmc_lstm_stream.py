"""nsmc-lstm-stream: Korean movie reviews, judged while they are read."""

from dataclasses import replace

from stepwire_training.data.along import Along
from stepwire_training.data.nsmc import Reviews
from stepwire_training.models.stream_classifier import StreamClassifier
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes import nsmc_bilstm
from stepwire_zoo.manifest import Limits

PUBLICATION: Publication = replace(
    nsmc_bilstm.PUBLICATION,
    summary="Whether a Korean movie review is negative or positive, after every token: an LSTM.",
    about="""\
Judges a short Korean text while it is written. LSTM layers read it from its beginning, and after \
every token one matrix product scores the two labels: a verdict costs one small step however \
long the text is, and what the model knows by then is a state of 3 KiB. It was trained to answer \
early: in training every token of a review is asked for the verdict, the later ones with more \
weight. On finished reviews it is as good as `nsmc-bilstm` (87.56 %), which reads them from both \
ends and only whole: a standard error is 0.15 points.""",
    tokens="""\
Those of `nsmc-bilstm`: 16,000 byte-pair tokens over NFC syllables, grown from the training \
reviews; the normaliser is in the tokenizer file. While training, tokens are taken apart at \
random into those they were merged from, so that a word is known in many spellings. Characters \
outside the vocabulary are one unknown token. How a word is cut depends on all of it, so who reads \
along reads word by word.""",
    split=f"""\
{nsmc_bilstm.PUBLICATION.split} The weights are chosen by the mean loss after 25, 50, 75 and \
100 % of the tokens of each dev review, rounded up; the table has those figures of the test \
split.""",
    caveats=f"""\
Early verdicts are guesses: after a quarter of a review, mostly three or four tokens, there is \
often nothing yet to judge by, and a turn at the end changes the verdict, as it should. \
{nsmc_bilstm.PUBLICATION.caveats}""",
    limits=Limits(max_input_tokens=512),
    buckets=(),
    half=True,
    comparison="",
)


def recipe() -> Recipe:
    """Reviews in 16,000 BPE tokens, two layers of 192 units."""
    return Recipe(
        bundle="nsmc-lstm-stream",
        publication=PUBLICATION,
        data=Along(
            texts=Reviews(
                tokens="bpe", vocabulary=16_000, rows=128, take_apart=0.25, vectors=128, seed=1
            )
        ),
        model=StreamClassifier.Config(
            cell="lstm",
            layers=2,
            hidden=192,
            embedding=128,
            token_dropout=0.15,
            embedding_dropout=0.3,
            layer_dropout=0.3,
            output_dropout=0.5,
            weight_dropout=0.2,
            locked=True,
            lean=1.0,
        ),
        steps=10_000,
        learning_rate=1.5e-3,
        label_smoothing=0.1,
        weight_decay=0.02,
        evaluate_every=1_000,
        seed=1,
    )


def short(lean: float) -> Recipe:
    """Two passes of the same model, to compare when to ask it."""
    whole = recipe()
    assert isinstance(whole.model, StreamClassifier.Config)
    return replace(
        whole,
        bundle=f"nsmc-lean-{lean:g}",
        model=replace(whole.model, lean=lean),
        steps=2_000,
        evaluate_every=1_000,
    )
