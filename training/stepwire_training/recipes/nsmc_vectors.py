"""nsmc-skipgram: vectors of Korean words."""

from stepwire_training.data.corpus import Counted
from stepwire_training.data.windows import Beside
from stepwire_training.data.worded import FilmReviews
from stepwire_training.models.word_vectors import NoiseContrast
from stepwire_training.recipe import Publication, Recipe
from stepwire_training.recipes.wikitext2_vectors import IN_WORDS, PARTS, SIZE, USES
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="Vectors of Korean words and of their letters: skip-gram on film reviews.",
    about=f"""\
Vectors of {SIZE} values of eojeols, the units between two spaces, learned by telling those that \
stand around one from others drawn by chance (skip-gram with negative sampling, Mikolov et al., \
2013). An eojeol is the mean of a vector of its own and of those of its parts, runs of three to \
six letters (jamo) of it (Bojanowski et al., 2017; for jamo Park et al., 2018). Korean hangs \
particles and endings on its words, so most eojeols of a text were never learned as such: they \
get a vector from the parts that are known, and answers say so. {USES}""",
    tokens=f"""\
Eojeols in composed Hangul (NFC), cut at spaces and punctuation, that are seen five times at \
least; what has neither letter nor digit is left out. Parts are runs of letters as NFD takes \
syllables apart, those that stand in {IN_WORDS} known eojeols at least (`subwords.json`), \
kept by name and not hashed into buckets.""",
    split="""\
Learned from the training reviews of NSMC, but 5,000 that choose the weights; its test reviews \
are left alone. kor_ws353 is WordSim-353 in Korean: scores of people for how related two words \
are, which were given for the English words; the figure is the correlation of the two orders. \
The two sets of analogies ask for the fourth word, among all that are known but the three of the \
question; they repeat few pairs of words many times, so that their figures are rough. "known \
words" are pairs and questions of which every word has a vector of its own; `known` is the share \
of those. No setting was chosen by these sets.""",
    caveats="""\
These are the words of short and angry or enthusiastic reviews of films, misspelt ones among \
them: 323 pairs of plain nouns are hardly what they talk about, and a fifth of those is known. A \
noun alone is rarer than the same noun with a particle. The vector of a word by its parts says \
more of its form than of what it means. What the texts say of people is in the vectors as well.""",
    published="0.294 is gensim 4.4.0's FastText on the same text",
    languages=("ko",),
    sources=(
        Dataset(
            name="Naver sentiment movie corpus (NSMC)",
            licence="CC0-1.0",
            home="https://github.com/e9t/nsmc",
        ),
    ),
    limits=Limits(max_input_tokens=256),
    buckets=PARTS,
    int8_tables=True,
    comparison="nsmc_gensim.csv",
)


def skip_gram() -> Recipe:
    """An eojeol tells those around it, by itself and by its letters."""
    counted = Counted(
        cutting="korean", parts=22_000, in_words=IN_WORDS, most_parts=PARTS[-1], units="jamo"
    )
    return Recipe(
        bundle="nsmc-skipgram",
        publication=PUBLICATION,
        data=FilmReviews(counted=counted, learned=Beside(telling="around")),
        model=NoiseContrast.Config(size=SIZE, made_of=1 + PARTS[-1]),
        steps=1_200,
        learning_rate=0.3,
        evaluate_every=120,
        bf16=False,
    )
