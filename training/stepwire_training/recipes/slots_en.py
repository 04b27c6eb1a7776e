"""slots-en: what is asked of a voice assistant, and with which particulars."""

from stepwire_training.data.snips import Requests
from stepwire_training.data.tagged import Reading
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes.pos_en import FOR_VECTORS
from stepwire_zoo.manifest import Dataset, Limits

BUCKETS = (4, 8, 12, 16, 24, 32, 48, 64)
PUBLICATION = Publication(
    summary="The intent and the slots of English requests: a bidirectional LSTM with a CRF.",
    about="""\
Says of a request to a voice assistant which of seven things is asked for (the intent, a label of \
the whole text), and which of its words say what (the slots: B-artist begins the name of one, \
I-artist goes on with it, O is none; 39 kinds). One layer of LSTMs reads the text both ways. Its \
outputs, pooled over the words, give the intent; each word's own give its tags, among whose \
sequences a linear-chain conditional random field chooses (the search is the server's, by `chain` \
in the manifest). Tag tells both, Classify the intent alone.
Of a word its embedding is read (of the 8,000 commonest of the requests; all others share one), a \
fixed vector that says beside which words it stands, and what filters over three or five \
neighbouring characters find in it. The fixed vectors come from counts of neighbours, a side and a \
distance at a time (positive pointwise mutual information, factorised), and are not trained.""",
    tokens="""\
Words as papers have them: cut at spaces and apostrophes, read in lower case, without the marks \
around them, which nobody says. Marks of a text that is sent are left out, so its words have gaps \
between them. 30,000 words have a number and a vector, looked up with zeros for digits; the rest \
are known by their characters (`characters.json`), of which 16 are read.""",
    split="""\
As papers since Goo et al. (2018) split it: the validation files are the test split, and of the \
13,784 requests of the full training files 700 choose. Which 700 those are in the papers is not \
known here; these are 100 of every intent, drawn by a fixed seed. Training requests with the words \
of one of the test or dev split are not learned from. Sentence accuracy is the share of requests \
with the right intent and every slot right; the dev split chooses by it (its accuracy, below). \
Slot F1 counts as CoNLL-2003: a slot is right if it begins, ends and is called as it should be. \
Vectors are counted in the training split, in the training articles of WikiText-2, in English \
sentences of Tatoeba and in a novel, all without tags; the published models had none.""",
    caveats="""\
Seven intents, whatever is said: a text about something else gets one of them too, often with a \
high probability. Names of songs, films and books that are made of common words are what it gets \
wrong most. All requests are English and short; a text is read as one request, up to 64 words.""",
    published="slot F1 87.8, intents 96.7, sentences 74.1 by an attention BiRNN; 88.8, 97.0 and \
75.5 by the slot-gated model; both in Goo et al., 2018",
    languages=("en",),
    sources=(
        Dataset(
            name="SNIPS, custom intent engines of 2017",
            licence="CC0-1.0",
            home="https://github.com/sonos/nlu-benchmark",
        ),
        *FOR_VECTORS,
    ),
    limits=Limits(max_input_tokens=BUCKETS[-1]),
    buckets=BUCKETS,
    half=True,
    licence="CC-BY-SA-3.0",
)


def recipe() -> Recipe:
    """Words and characters, a layer of 160 units a direction, seven intents, a chain of slots."""
    return Recipe(
        bundle="slots-en",
        publication=PUBLICATION,
        data=Requests(
            reading=Reading(
                cutting="commands", vocabulary=30_000, vectors=100, characters=16, rows=32, seed=1
            )
        ),
        model=JointTagger.Config(
            layers=1,
            hidden=160,
            learned=8_000,
            embedding=64,
            vectors=100,
            character=32,
            widths=(3, 5),
            filters=80,
            word_dropout=0.25,
            input_dropout=0.3,
            layer_dropout=0.3,
            weight_dropout=0.3,
            output_dropout=0.5,
            text_labels=7,
        ),
        steps=4_000,
        learning_rate=2e-3,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=250,
        seed=1,
    )
