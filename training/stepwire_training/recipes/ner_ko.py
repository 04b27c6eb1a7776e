"""ner-ko: people, places, organisations, dates, times and quantities in Korean sentences."""

from stepwire_training.data.klue import KlueEntities
from stepwire_training.data.tagged import Reading
from stepwire_training.models.chain_tagger import ChainTagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

BUCKETS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # of characters
PAIRS = 1 << 16

PUBLICATION = Publication(
    summary="Names, dates and quantities in Korean, by characters: a bidirectional LSTM with a "
    "CRF.",
    about="""\
Finds in Korean sentences people (PS), places (LC), organisations (OG), dates (DT), times (TI) and \
quantities (QT): B-PS is the first character of a person's name, I-PS goes on with it, O is none. \
A layer of LSTMs reads the characters both ways, and a linear-chain conditional random field \
chooses among all sequences of tags (the search is the server's, by `chain` in the manifest); \
probabilities are those of a character's tag over all sequences.
Of a character three things are read: an embedding, what it is made of (consonants and vowel of a \
syllable, else its category), and fixed vectors that say beside which others it stands: of itself, \
and of it as a pair with the one before and with the one behind. Pairs share a table of 65,536 \
rows by a hash that is part of the graph. The vectors come from counts of neighbours, a side and \
a distance at a time (positive pointwise mutual information, factorised), and are not trained.""",
    tokens="""\
Characters, as KLUE tags them: a name may end inside of an eojeol, where its particle begins. \
White space is read as a character and not told of. Hangul may come composed (NFC) or taken apart \
(NFD). Who has cut a text already sends one character at a time, spaces with them.""",
    split="""\
KLUE's own test labels are not public, and of its files the official dev set of 5,000 sentences is \
all that is used. Its split here is our own, by running number: those that end in 9 are measured, \
in 8 choose the weights, by accuracy of characters, all others are learned from. Half of the \
sentences are of film reviews, most of which are in the training file of NSMC: reviews that hold a \
sentence of either held-out part are not among the text without tags.""",
    caveats="""\
4,000 sentences are few: names that neither they nor the plain text have are missed most, those of \
organisations and places more than those of people; dates and quantities are found best. Reviews \
and encyclopedic articles are what it knows. Another split and a fifth of the sentences: beside \
KLUE's table its figures say how far a small model gets, no more. A text is read as one sentence, \
up to 512 characters.""",
    published="of KLUE's own table, on its own test with 21,008 training sentences and a large "
    "pretrained model: KLUE-BERT-base 84.77 entity F1 (mean of types), 91.28 character F1",
    languages=("ko",),
    sources=(
        Dataset(
            name="KLUE-NER, its official dev set",
            licence="CC-BY-SA-4.0",
            home="https://github.com/KLUE-benchmark/KLUE",
        ),
        Dataset(
            name="Naver sentiment movie corpus (NSMC), for the vectors alone",
            licence="CC0-1.0",
            home="https://github.com/e9t/nsmc",
        ),
        Dataset(
            name="Korean question and answer pairs for chat, for the vectors alone",
            licence="MIT",
            home="https://github.com/songys/Chatbot_data",
        ),
        Dataset(
            name="KAIST treebank, its training split, for the vectors alone",
            licence="CC-BY-SA-4.0",
            home="https://github.com/emorynlp/ud-korean",
        ),
    ),
    limits=Limits(max_input_tokens=BUCKETS[-1]),
    buckets=BUCKETS,
    int8_matrices=True,
    licence="CC-BY-SA-4.0",
)


def recipe() -> Recipe:
    """Characters and pairs of them, one layer of 256 units a direction, a chain of tags."""
    return Recipe(
        bundle="ner-ko",
        publication=PUBLICATION,
        data=KlueEntities(
            reading=Reading(
                cutting="characters",
                vocabulary=4_000,
                vectors=64,
                characters=1,
                rows=32,
                pairs=PAIRS,
                seed=1,
            )
        ),
        model=ChainTagger.Config(
            layers=1,
            hidden=256,
            learned=4_000,
            embedding=64,
            vectors=64,
            character=32,
            widths=(1,),
            filters=48,
            pairs=PAIRS,
            word_dropout=0.2,
            input_dropout=0.4,
            weight_dropout=0.3,
            output_dropout=0.5,
        ),
        steps=2_400,
        learning_rate=2e-3,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=200,
        seed=1,
    )
