"""pos-en: parts of speech of English words."""

from stepwire_training.data.ewt import EnglishWeb
from stepwire_training.data.tagged import Reading
from stepwire_training.models.tagger import Tagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
READING = """\
Of a word its embedding is read (of the 8,000 commonest of the treebank; all others share \
one), a fixed vector that says beside which words it stands, and what filters over two or more \
neighbouring characters find in it. The fixed vectors come from counts of neighbours, a side and \
a distance at a time (positive pointwise mutual information, factorised), and are not trained."""

FOR_VECTORS = (
    Dataset(
        name="WikiText-2, for the vectors alone",
        licence="CC-BY-SA-3.0",
        home="https://huggingface.co/datasets/Salesforce/wikitext",
    ),
    Dataset(
        name="Tatoeba, for the vectors alone",
        licence="CC-BY-2.0",
        home="https://tatoeba.org",
    ),
    Dataset(
        name="War and Peace in English, for the vectors alone",
        licence="public domain",
        home="https://www.gutenberg.org",
    ),
)

PUBLICATION = Publication(
    summary="The part of speech of every English word: a bidirectional LSTM.",
    about=f"""\
Tags each word of an English text with one of the 17 universal parts of speech. Two layers of \
LSTMs read the sentence both ways, and one matrix product scores the tags of each word.
{READING}""",
    tokens="""\
Words, cut as the treebank cuts them: at spaces, with punctuation and endings ("do" + "n't", \
"it" + "'s") apart, by one regular expression in the tokenizer's file; the table says how many it \
finds where the treebank has them. 30,000 words have a number and a vector, looked up in lower \
case with zeros for digits; the rest are known by their characters (`characters.json`), of which \
16 are read: of longer words the first and the last eight. Who has cut words already sends them \
so.""",
    split="""\
The official split; the figure is of its test split, with the treebank's own words. Sentences of \
the training split that are in the test split too are not learned from. Vectors are counted in the \
training split, in the training articles of WikiText-2, in English sentences of Tatoeba and in a \
novel, all without tags. The dev split chooses the weights, by accuracy.""",
    caveats="""\
A text is read as one sentence, up to 256 words; the treebank's sentences have 16 on average, so \
longer texts are better cut before. The web of 2003 to 2010 is what it knows. Proper nouns and \
common nouns in titles, foreign words (X) and typing errors are what it gets wrong most. \
Probabilities are those of a model trained with smoothed labels: rarely close to 1.""",
    published="95 to 96 % are published for BiLSTM taggers on English-EWT, most with vectors of \
much larger corpora",
    languages=("en",),
    sources=(
        Dataset(
            name="UD English-EWT",
            licence="CC-BY-SA-4.0",
            home="https://github.com/UniversalDependencies/UD_English-EWT",
        ),
        *FOR_VECTORS,
    ),
    limits=Limits(max_input_tokens=BUCKETS[-1]),
    buckets=BUCKETS,
    half=True,
    licence="CC-BY-SA-4.0",
)


def recipe() -> Recipe:
    """Words and characters, two layers of 192 units a direction."""
    return Recipe(
        bundle="pos-en",
        publication=PUBLICATION,
        data=EnglishWeb(
            reading=Reading(
                cutting="english", vocabulary=30_000, vectors=100, characters=16, rows=32, seed=1
            )
        ),
        model=Tagger.Config(
            layers=2,
            hidden=192,
            learned=8_000,
            embedding=100,
            vectors=100,
            character=32,
            widths=(3, 5),
            filters=100,
            word_dropout=0.25,
            input_dropout=0.3,
            layer_dropout=0.35,
            weight_dropout=0.25,
            output_dropout=0.4,
        ),
        steps=9_000,
        learning_rate=2e-3,
        label_smoothing=0.05,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=500,
        seed=1,
    )
