"""pos-ko: parts of speech of Korean eojeols."""

from stepwire_training.data.kaist import Kaist
from stepwire_training.data.tagged import Reading
from stepwire_training.models.tagger import Tagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes.pos_en import BUCKETS, READING
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="The part of speech of every Korean eojeol: a bidirectional LSTM.",
    about=f"""\
Tags each eojeol, the unit between two spaces, of a Korean text with one of the 17 universal parts \
of speech. Two layers of LSTMs read the sentence both ways, and one matrix product scores the tags \
of each eojeol.
{READING}
A character is a syllable; each has, beside an embedding of its own, those of its consonants and \
vowel, so that rare syllables are known by their letters.""",
    tokens="""\
Eojeols, cut at spaces; what is neither letter nor digit stands alone. 26,000 have a number and a \
vector at most, those seen twice in training; a third of the test split's are known by their \
syllables alone (`characters.json`), of which 12 are read. Hangul may come composed (NFC) or \
taken apart (NFD). Who has cut words already sends them so.""",
    split="""\
Whole documents, as Universal Dependencies splits the treebank (dev: M2TA_069, 079, 089, MH2_0069, \
0109, 0149, 0159, 0169, 0209; test: M2TA_070, 080, 090, MH2_0010, 0070, 0110, 0180, 0190), in the \
conversion of 2018; later releases changed some tags, AUX most of all. Sentences of the training \
split that are in the test split too are not learned from. The dev split chooses the weights, by \
accuracy. Nothing was learned from the Google treebank (GSD), which has the same set of tags: the \
table has the accuracy on its dev split. The two tag differently (GSD has no SCONJ at all).""",
    caveats="""\
An eojeol has several morphemes and here one tag, which mostly follows its ending: 학교에, "to \
school", is an ADV in this treebank. Other treebanks decide otherwise, so figures across treebanks \
are low. What it gets wrong most are names: a quarter of the proper nouns, most of them taken for \
common ones. It was aimed at 95.5 % and stays below; the words that training never saw twice are \
where it falls short. A text is read as one sentence, up to 256 eojeols, of edited prose.""",
    published="none on these very files",
    languages=("ko",),
    sources=(
        Dataset(
            name="KAIST treebank with Universal Dependencies",
            licence="CC-BY-SA-4.0",
            home="https://github.com/emorynlp/ud-korean",
        ),
    ),
    limits=Limits(max_input_tokens=BUCKETS[-1]),
    buckets=BUCKETS,
    half=True,
    licence="CC-BY-SA-4.0",
)


def recipe() -> Recipe:
    """Words and syllables, two layers of 192 units a direction."""
    return Recipe(
        bundle="pos-ko",
        publication=PUBLICATION,
        data=Kaist(
            reading=Reading(
                cutting="korean", vocabulary=26_000, vectors=100, characters=12, rows=64, seed=1
            )
        ),
        model=Tagger.Config(
            layers=2,
            hidden=192,
            learned=8_000,
            embedding=100,
            vectors=100,
            character=48,
            widths=(2, 3, 4),
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
        evaluate_every=375,
        seed=1,
    )
