"""intent-ko: what a Korean utterance is for."""

from stepwire_training.data.intents import Utterances
from stepwire_training.data.nsmc import Reviews
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.encoder import Encoder
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="What a Korean utterance is for, of seven intents: a bidirectional LSTM.",
    about="""\
Says what a Korean utterance is: a fragment, a statement, a question, a command, a rhetorical \
question or command, or one of which only the intonation would tell. Made for speech that was \
written down, where nobody types a question mark. A layer of LSTM reads it from each end; what \
they know at each token is averaged and maximised over the text, and one matrix product scores \
the labels.""",
    tokens="""\
8,000 byte-pair tokens over NFC syllables, grown from the training utterances; the normaliser is \
in the tokenizer file. While training, tokens are taken apart at random into those they were \
merged from. Characters outside the vocabulary are one unknown token. The embedding begins from \
word vectors that are made of the training utterances.""",
    split="""\
The official test split, whole. 5,000 utterances of the official training file, drawn by the \
seed, choose the weights; utterances that are also in the test split are dropped from training.""",
    caveats="""\
The classes are unequal: rhetorical commands are one in fifty, and macro F1 counts all seven \
alike. What depends on intonation cannot be told from text, by definition; such utterances have a \
class of their own, and annotators too agreed on the classes with a kappa of 0.85.""",
    published="",
    languages=("ko",),
    sources=(
        Dataset(
            name="3i4K (Cho et al., 2018)",
            licence="CC-BY-SA-4.0",
            home="https://github.com/warnikchow/3i4k",
        ),
    ),
    limits=Limits(max_input_tokens=256),
    buckets=(8, 16, 24, 32, 64, 128, 256),
    half=True,
)


def recipe() -> Recipe:
    """Utterances in 8,000 BPE tokens, one layer of 128 units a direction."""
    return Recipe(
        bundle="intent-ko",
        publication=PUBLICATION,
        data=Utterances(
            cut=Reviews(
                tokens="bpe", vocabulary=8_000, rows=128, take_apart=0.25, vectors=128, seed=1
            )
        ),
        model=Classifier.Config(
            encoder=Encoder.Config(
                layers=1,
                hidden=128,
                embedding=128,
                token_dropout=0.1,
                embedding_dropout=0.2,
                weight_dropout=0.1,
            ),
            output_dropout=0.5,
        ),
        steps=3_000,
        learning_rate=1.5e-3,
        label_smoothing=0.1,
        weight_decay=0.02,
        evaluate_every=375,
        seed=1,
    )
