"""sst2-bilstm: English film reviews, negative or positive, and the words that were looked at."""

from stepwire_training.data.sst2 import Sentences
from stepwire_training.models.attentive import AttentiveClassifier
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes.pos_en import FOR_VECTORS
from stepwire_zoo.manifest import Dataset, Limits

BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)

PUBLICATION = Publication(
    summary="Whether an English sentence about a film is negative or positive, and which words "
    "were looked at: bidirectional LSTMs with attention.",
    about="""\
Judges a sentence of an English film review and tells what it looked at. Four readers share \
nothing but fixed vectors of words: each reads the sentence with an LSTM from either end, weighs \
what it knows at each word (additive attention, Yang et al., 2016), takes the mean by these \
weights and scores the two labels. The verdict is the mean of their logits, the attention the \
mean of theirs.""",
    tokens="""\
12,000 words and pieces of words, looked up in lower case with zeros for digits. Of what is no \
word only `,`, `?`, `!` and quotes are read: the corpus has no other marks. Common words are one \
token, rare ones are cut into pieces that more words have (byte-pair encoding), so that no \
English word is unknown. Of a token a vector is read that was counted in 3.7 million words of \
other text and is not trained (what stands near it, and just before and behind it; positive \
pointwise mutual information, factorised; a byte a value); of the 3,000 commonest of training \
also an embedding that is learned.""",
    split="""\
The official split, in whole sentences: the phrases of the treebank, with their labels, are not \
among the files, so this is sentence-level training, and most published figures are not. \
Sentences that are in the dev or test split too are not learned from. The dev split chooses the \
weights, by loss, and chose among larger models (`docs/training.md` has what was tried); this one \
is what fits into 4 MiB. The test split was measured once.""",
    caveats="""\
It was aimed at 85 % and stays below. It knows sentences of professional reviews of films up to \
2005, and no neutral ones: those were left out of the corpus, and a sentence without judgement \
gets a label all the same. Irony and what is said between the lines mislead it. What is weighed \
at a word is what an LSTM knows there, which has read the other words too: weights tell where \
the verdict was taken from, and not what each word alone would have said.""",
    published="with labels of phrases and vectors of 840 billion words LSTM 84.9 %, BiLSTM 87.5 % "
    "(Tai et al., 2015)",
    languages=("en",),
    sources=(
        Dataset(
            name="Stanford Sentiment Treebank (Socher et al., 2013), two labels, sentences",
            licence="unstated",
            home="https://nlp.stanford.edu/sentiment",
        ),
        *FOR_VECTORS,
        Dataset(
            name="UD English-EWT, for the vectors alone",
            licence="CC-BY-SA-4.0",
            home="https://github.com/UniversalDependencies/UD_English-EWT",
        ),
    ),
    limits=Limits(max_input_tokens=BUCKETS[-1]),
    buckets=BUCKETS,
    half=True,
    licence="CC-BY-SA-4.0",
)


def recipe() -> Recipe:
    """Words and pieces, four readers of 80 units a direction."""
    return Recipe(
        bundle="sst2-bilstm",
        publication=PUBLICATION,
        data=Sentences(vocabulary=12_000, about=80, beside=48, rows=32, seed=1),
        model=AttentiveClassifier.Config(
            readers=4,
            layers=1,
            hidden=80,
            learned=3_000,
            embedding=24,
            vectors=128,
            units=64,
            word_dropout=0.3,
            input_dropout=0.3,
            weight_dropout=0.2,
            output_dropout=0.5,
        ),
        steps=800,
        learning_rate=4e-3,
        label_smoothing=0.1,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=100,
        seed=1,
    )
