"""pos-en-stream: parts of speech of English words, each as soon as it is read."""

from stepwire_training.data.ewt import EnglishWeb
from stepwire_training.data.tagged import Reading
from stepwire_training.models.stream_tagger import StreamTagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes import pos_en
from stepwire_zoo.manifest import Limits

MOST_WORDS = 512

PUBLICATION = Publication(
    summary="The part of speech of every English word as soon as it is read: an LSTM.",
    about=f"""\
Tags each word of an English text with one of the 17 universal parts of speech, by the words up to \
it and none behind: two layers of LSTMs read ahead, and one matrix product scores the tags of each \
word. In a session a word's tag is told as the word comes; whole texts are tagged with the very \
same steps.
{pos_en.READING}""",
    tokens="""\
Words and their characters, as those of pos-en, and cut alike; a step reads one of them: the \
number of the word, then those of its characters (the first and the last eight of a longer word). \
Texts that are stepped are cut one by one: no word goes on from one message into the next.""",
    split="""\
As that of pos-en, to the sentence: the official split of English-EWT, training sentences that are \
in the test split left out, vectors counted in the same texts. The dev split chooses the weights, \
by accuracy. Three sentences that follow one another are learned from as one text as well, so that \
a session may go on behind the end of a sentence; the table has the test split read so, too.""",
    caveats="""\
What stands behind a word is not known when it is tagged: "her" before a noun and "her" at the end \
of a sentence look alike, and so do the noun and the verb that begin one. Nothing is taken back; \
who can wait for the end of a sentence is served better by pos-en.""",
    published="pos-en, which reads both ways, has 96.13 % here",
    languages=("en",),
    sources=pos_en.PUBLICATION.sources,
    limits=Limits(max_input_tokens=MOST_WORDS),
    half=True,
    licence="CC-BY-SA-4.0",
)


def recipe() -> Recipe:
    """Words and characters as those of pos-en, two layers of 256 units, one direction."""
    return Recipe(
        bundle="pos-en-stream",
        publication=PUBLICATION,
        data=EnglishWeb(
            reading=Reading(
                cutting="english",
                vocabulary=30_000,
                vectors=100,
                characters=16,
                rows=32,
                together=3,
                seed=1,
            )
        ),
        model=StreamTagger.Config(
            layers=2,
            hidden=256,
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
        steps=4_500,
        learning_rate=2e-3,
        label_smoothing=0.05,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=500,
        seed=1,
    )
