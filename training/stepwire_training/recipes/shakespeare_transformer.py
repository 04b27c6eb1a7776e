"""shakespeare-transformer: a small causal transformer whose state is a window, to compare."""

from dataclasses import replace

from stepwire_training.data.shakespeare import Characters
from stepwire_training.models.window_transformer import WindowTransformer
from stepwire_training.recipe import Recipe
from stepwire_training.recipes.shakespeare import publication

MODEL = WindowTransformer.Config(
    embedding=128, layers=3, heads=4, wide=512, window=64, layer_dropout=0.1
)
ABOUT = f"""\
Writes in the manner of Shakespeare's plays, one character at a time. It is a transformer that is \
served as a recurrent cell is: its state holds the keys and values of the last {MODEL.window - 1} \
characters of each layer, and with every character the oldest go. A text of any length is read in \
this way, and was in training. Text that is more than {MODEL.reach - 1} characters back bears on \
nothing; `GetModel` tells how far it reaches, and a summary how much of a prompt lies beyond."""


def recipe() -> Recipe:
    """Characters of Shakespeare, three layers over a window of 64."""
    about = publication("transformer", units=MODEL.embedding)
    return Recipe(
        bundle="shakespeare-transformer",
        publication=replace(
            about,
            summary="Shakespeare, character by character: a transformer of three layers over a "
            f"window of {MODEL.window} characters.",
            about=ABOUT,
            limits=replace(about.limits, reach=MODEL.reach),
            half=True,
        ),
        data=Characters(rows=64, length=64, seed=1),
        model=MODEL,
        steps=3_000,
        learning_rate=2e-3,
        warmup=0.07,
        weight_decay=0.02,
        ema_decay=0.997,
        evaluate_every=300,
        seed=1,
    )
