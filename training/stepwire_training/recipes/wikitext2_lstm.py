"""wikitext2-lstm: English of an encyclopedia, word by word."""

from stepwire_training.data.wikitext import END, WikiText
from stepwire_training.models.cached import CachedLanguageModel
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="WikiText-2 word by word: two LSTM layers of 448 units and a cache of 256 words.",
    about="""\
Writes and scores English as it stands in an encyclopedia: words between spaces, rare words as \
<unk>, as the corpus has them. Its figure is the perplexity of words, so that it can be compared \
with models of whole words. What it read lately becomes likelier: a session carries 256 words and, \
of each, what the last layer said before it came, in 32 numbers (a cache after Grave et al., \
2016). That is most of a session's state of 41 KiB.""",
    tokens="""\
The 33,278 words of the corpus, the end mark of a line one of them. A text is written as there, \
punctuation apart: "He left , and <unk> stayed .". A word that the corpus does not have is read as \
<unk>, which is how it writes rare ones. The 4,000 commonest words have vectors of 448 values, the \
next 8,000 of 112, the others of 28; a word is read and scored by the same vector (Grave et al., \
2016; Baevski and Auli, 2018).""",
    split="""\
The published splits; the articles of the training text come in another order than in the \
published file. Weights and cache are chosen on the validation text and measured once on the test \
text, read as one sequence that carries its state from the first word to the last.""",
    caveats="""\
It knows the ways of an encyclopedia and few facts; what it writes about people and places is made \
up. Two million words are little text: names are mostly <unk>.""",
    published="99.3 a plain LSTM, 81.6 with a cache of the last 100 words, 68.9 of 2,000 "
    "(Grave et al., 2016)",
    languages=("en",),
    sources=(
        Dataset(
            name="WikiText-2",
            licence="CC-BY-SA-3.0",
            home="https://arxiv.org/abs/1609.07843",
        ),
    ),
    limits=Limits(max_input_tokens=8_192, max_new_tokens=2_048),
    int8_matrices=True,
    eight_bits=False,  # the zoo has 250 MiB
    begin=END,
    licence="CC-BY-SA-3.0",
    measured_on="test",
)


def recipe() -> Recipe:
    """Words of WikiText-2, two LSTM layers of 448 units and a cache, rarer words narrower."""
    return Recipe(
        bundle="wikitext2-lstm",
        publication=PUBLICATION,
        data=WikiText(rows=24, length=35, seed=1),
        model=CachedLanguageModel.Config(
            model=LanguageModel.Config(
                cell="lstm",
                layers=2,
                hidden=448,
                embedding=448,
                embedding_dropout=0.1,
                layer_dropout=0.15,
                output_dropout=0.25,
                weight_dropout=0.1,
                locked=True,
                cuts=(4_000, 12_000),
            ),
            window=256,
            directions=32,
        ),
        steps=22_000,
        learning_rate=2e-3,
        warmup=0.03,
        weight_decay=0.03,
        ema_decay=0.999,
        evaluate_every=2_750,
        seed=1,
    )
