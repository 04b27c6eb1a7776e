"""ner-en: people, places and organisations in English tweets."""

from stepwire_training.data.entities import Entities
from stepwire_training.data.tagged import Reading
from stepwire_training.models.chain_tagger import ChainTagger
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes.pos_en import BUCKETS, FOR_VECTORS, READING
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="People, places and organisations in English tweets: a bidirectional LSTM with a CRF.",
    about=f"""\
Finds names in short English texts as people write them: B-PER begins the name of a person, I-PER \
goes on with it, and so for places (LOC) and organisations (ORG); O is none. A layer of LSTMs \
reads the text both ways, and a linear-chain conditional random field chooses among all sequences \
of tags (the search is the server's, by `chain` in the manifest); probabilities are those of a \
word's tag over all sequences.
{READING}""",
    tokens="""\
Words, cut at spaces, with punctuation and endings apart; names (@somebody) and topics \
(#something) stay whole. 30,000 words have a number and a vector, looked up in lower case with \
zeros for digits; the rest are known by their characters (`characters.json`), of which 16 are \
read.""",
    split="""\
The Broad Twitter Corpus has sections and no split: measured is section F, chosen by is section H \
with the dev split of WNUT 2017, and learned from are sections A, B, E and G with the train split \
of WNUT 2017. Corporations and groups of WNUT are organisations here, its products and creative \
works no entities; so its test split is not that of others, and only named beside. Texts of \
either test split are not learned from.""",
    caveats="""\
New names are missed most. What a name is, the corpora say: @somebody is a person there. Without \
pretrained vectors it is far behind what large models find. Only three types. A text is read as \
one sentence, up to 256 words.""",
    published="none on this split with these types",
    languages=("en",),
    sources=(
        Dataset(
            name="Broad Twitter Corpus",
            licence="CC-BY-4.0",
            home="https://github.com/GateNLP/broad_twitter_corpus",
        ),
        Dataset(
            name="WNUT 2017, emerging entities",
            licence="CC-BY-4.0",
            home="https://github.com/leondz/emerging_entities_17",
        ),
        *FOR_VECTORS,
    ),
    limits=Limits(max_input_tokens=BUCKETS[-1]),
    buckets=BUCKETS,
    half=True,
    licence="CC-BY-SA-3.0",
)


def recipe() -> Recipe:
    """Words and characters, one layer of 160 units a direction, a chain of tags."""
    return Recipe(
        bundle="ner-en",
        publication=PUBLICATION,
        data=Entities(
            reading=Reading(
                cutting="tweets", vocabulary=30_000, vectors=100, characters=16, rows=32, seed=1
            )
        ),
        model=ChainTagger.Config(
            layers=1,
            hidden=160,
            learned=5_000,
            embedding=50,
            vectors=100,
            character=32,
            widths=(3, 5),
            filters=80,
            word_dropout=0.4,
            input_dropout=0.4,
            weight_dropout=0.3,
            output_dropout=0.5,
        ),
        steps=3_000,
        learning_rate=2e-3,
        weight_decay=0.01,
        ema_decay=0.998,
        evaluate_every=250,
        seed=1,
    )
