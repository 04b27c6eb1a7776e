"""wikitext2-skipgram, wikitext2-cbow and wikitext2-glove: vectors of English words."""

from dataclasses import replace

from stepwire_training.data.cells import Near
from stepwire_training.data.corpus import Counted
from stepwire_training.data.windows import Beside
from stepwire_training.data.worded import WikiText
from stepwire_training.models.word_vectors import CountFitting, NoiseContrast
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

SIZE = 64  # values of a vector
PARTS = (1, 8, 16, 32, 64)  # padded lengths: so many numbers a word may be made of
WHOLE = (1,)
IN_WORDS = 10  # that a part of a word must be in to have a vector
WORDS = Counted(cutting="english")

USES = """\
Words that are used alike have vectors that point alike. `Embed` gives vectors, `Neighbors` the \
words with the nearest, `Analogy` what a word is to another."""
SETS = """\
WordSim-353 has scores of people for how related two words are, SimLex-999 for how alike they \
are, which is harder, since opposites are related too; the figure is the correlation of the two \
orders. questions-words asks for the fourth word of an analogy, among all that are known but the \
three of the question. "known words" are pairs and questions of which every word has a vector of \
its own; `known` is the share of those."""
SMALL = """\
Two million words are a thousandth of what published vectors are learned from, and the figures \
are what such a text gives: good for words that are common in an encyclopaedia, poor for others, \
and of little use for analogies. A word has one vector whatever it means, and words that only \
stand in like places, such as opposites or the names of two towns, are near each other too. What \
the texts say of people is in the vectors as well."""
SPLIT = f"""\
Learned from the training split, of which the articles come in another order; the validation \
split chooses the weights. Nothing else is learned from. {SETS} No setting was chosen by these \
sets: window, noise, rate and sizes are those usual for small texts, or were chosen by the loss \
on the validation split; only that an earlier way of drawing noise was a mistake showed in them."""
TOKENS = """\
Words in lower case, cut at spaces as WikiText-2 is, that are seen five times at least; what has \
neither letter nor digit is left out."""
SOURCES = (
    Dataset(
        name="WikiText-2",
        licence="CC-BY-SA-3.0",
        home="https://huggingface.co/datasets/Salesforce/wikitext",
    ),
)

SKIP_GRAM = Publication(
    summary="Vectors of English words and of their parts: skip-gram on WikiText-2.",
    about=f"""\
Vectors of {SIZE} values, learned by telling the words that stand around a word from words drawn \
by chance (skip-gram with negative sampling, Mikolov et al., 2013). A word is the mean of a vector \
of its own and of those of its parts, runs of three to six characters (Bojanowski et al., 2017), \
so that a word that was never learned gets one from the parts that are known; answers say so. \
{USES}""",
    tokens=f"""\
{TOKENS} Parts of words are those that stand in {IN_WORDS} known words at least (`subwords.json`); \
they are kept by name, not hashed into buckets, so that a word of which nothing is known has no \
vector instead of one by chance.""",
    split=SPLIT,
    caveats=f"""\
{SMALL} The vector of a word by its parts says more of its form than of what it means.""",
    published="0.463 is gensim 4.4.0's FastText on the same text",
    languages=("en",),
    sources=SOURCES,
    limits=Limits(max_input_tokens=256),
    buckets=PARTS,
    int8_tables=True,
    comparison="wikitext2_gensim.csv",
    licence="CC-BY-SA-3.0",
)
BAG_OF_WORDS = replace(
    SKIP_GRAM,
    summary="Vectors of English words: a continuous bag of words on WikiText-2.",
    about=f"""\
Vectors of {SIZE} values, learned by telling the word that stands among others from words drawn by \
chance (a continuous bag of words with negative sampling, Mikolov et al., 2013). {USES} A word \
that was not learned has no vector, and answers say so.""",
    tokens=TOKENS,
    caveats=SMALL,
    published="0.291 is gensim 4.4.0's Word2Vec on the same text",
    buckets=WHOLE,
)
GLOVE = replace(
    BAG_OF_WORDS,
    summary="Vectors of English words: GloVe on WikiText-2.",
    about=f"""\
Vectors of {SIZE} values whose products are logarithms of how often two words stand near each \
other (GloVe, Pennington et al., 2014); what is served is the sum of the two vectors that a word \
has there. {USES} A word that was not learned has no vector, and answers say so.""",
    split=f"""\
Learned from the training split, of which the articles come in another order; a fiftieth of the \
pairs of words that stand near each other is left out and chooses the weights. {SETS} No setting \
was chosen by these sets.""",
    published="0.478 is gensim 4.4.0's skip-gram on the same text; it has no GloVe",
)


def skip_gram() -> Recipe:
    """A word tells the words around it, by itself and by its parts."""
    counted = replace(WORDS, parts=22_000, in_words=IN_WORDS, most_parts=PARTS[-1])
    return Recipe(
        bundle="wikitext2-skipgram",
        publication=SKIP_GRAM,
        data=WikiText(counted=counted, learned=Beside(telling="around")),
        model=NoiseContrast.Config(size=SIZE, made_of=1 + PARTS[-1]),
        steps=2_400,
        learning_rate=0.3,
        evaluate_every=240,
        bf16=False,
    )


def bag_of_words() -> Recipe:
    """The words around a place tell the word that stands there."""
    return Recipe(
        bundle="wikitext2-cbow",
        publication=BAG_OF_WORDS,
        data=WikiText(counted=WORDS, learned=Beside(telling="centre")),
        model=NoiseContrast.Config(size=SIZE),
        steps=1_200,
        learning_rate=0.3,
        evaluate_every=120,
        bf16=False,
    )


def glove() -> Recipe:
    """Products of vectors tell how often words stand near one another."""
    return Recipe(
        bundle="wikitext2-glove",
        publication=GLOVE,
        data=WikiText(counted=WORDS, learned=Near()),
        model=CountFitting.Config(size=SIZE),
        steps=2_000,
        learning_rate=0.1,
        evaluate_every=250,
        bf16=False,
    )
