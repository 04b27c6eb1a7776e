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
    about="""\
Translates an everyday sentence. A bidirectional LSTM reads the English sentence; a decoder of \
two LSTM layers writes the French one. The first layer looks at the sentence by general attention \
(Luong et al., 2015), the second reads what was found, and so do the scores. Where it looked can \
be asked for with each token.""",
    tokens="""\
6,000 byte-pair tokens that both languages share, grown from the training pairs, cased. \
Punctuation stays apart from words inside the tokenizer, and decoding restores the text exactly. \
The embedding is also the matrix that scores the next token.""",
    split="""\
There is no official split. Sentences are split by their English side, less case, punctuation \
and spacing, so that no English sentence is in two splits: 1,000 choose the weights and the \
length penalty, 2,000 are measured once. A held-out sentence is measured against the first of its \
translations alone, so a good translation in other words counts for little. French sides may \
occur in several splits, as different English sentences share a translation.""",
    caveats="""\
Short sentences of everyday life, six words on average; long or technical ones fall apart. "You" \
becomes tu or vous as the data happens to have it. Its sentences were written by volunteers and \
hold their opinions and mistakes.""",
    published="none on this split",
    languages=("en", "fr"),
    sources=(
        Dataset(
            name="Tatoeba English-French, 2017-09-29: tatoeba.org and manythings.org/anki",
            licence="CC-BY-2.0",
            home="https://www.manythings.org/anki/",
        ),
    ),
    limits=Limits(max_input_tokens=128, max_new_tokens=128),
    buckets=(4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
    half=True,
)
