"""shakespeare-ngram: counted, not trained, to compare."""

from dataclasses import replace

from stepwire_training.data.counting import CountedText
from stepwire_training.data.shakespeare import Characters
from stepwire_training.models.ngram import Ngram
from stepwire_training.recipe import Recipe
from stepwire_training.recipes.shakespeare import publication

MODEL = Ngram.Config(order=6)
ABOUT = """\
Writes in the manner of Shakespeare's plays, one character at a time, by what came after the last \
five characters wherever they stood in the plays: interpolated, modified Kneser-Ney smoothing \
(Chen and Goodman, 1998), as a step graph that looks into tables. Its state is the last five \
characters, and nothing that was before them bears on what comes next."""


def recipe() -> Recipe:
    """Characters of Shakespeare, counted in sixes.

    Sevens are hardly better at twice the size (see compare_orders).
    """
    about = publication("n-gram", units=0)
    return Recipe(
        bundle="shakespeare-ngram",
        publication=replace(
            about,
            summary="Shakespeare, character by character: counts of six characters in a row.",
            about=ABOUT,
            comparison="shakespeare_orders.csv",
            limits=replace(about.limits, reach=MODEL.order - 1),
            split="""\
The first 90 % of the characters are counted, the last 10 % measured, as nanoGPT and others split \
the text. How far it looks back was chosen on a tenth of the first part. Measured over the whole \
validation text as one sequence.""",
            caveats="""\
It knows words and what stands beside them, and forgets everything that is more than five \
characters back: who speaks, and whether a line is verse. Its 65 characters hold no digit but 3.""",
        ),
        data=CountedText(text=Characters(rows=1, length=64, seed=1)),
        model=MODEL,
        # Everything is known before the first step, and no step moves it.
        steps=1,
        learning_rate=0.0,
        evaluate_every=1,
        bf16=False,
        seed=1,
    )
