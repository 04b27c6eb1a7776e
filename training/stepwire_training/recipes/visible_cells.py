"""Two generators whose cells can be watched: a novel, and the source code of a kernel.

docs/lectures/cells.md tells what was found in them.
"""

from dataclasses import replace

from stepwire_training.data.long_texts import KernelSource, Novel
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.recipe import Data, Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

ABOUT = """\
Writes {what}, one character at a time. It is here to be looked into: `Step` tells the memory of \
each cell that is asked for (tanh of c, in (-1, 1)) after every character, cell U of layer L under \
the number L * 320 + U, and docs/lectures/cells.md names cells that follow {followed}."""

TOKENS = """\
One token a character, those of all three splits in sorted order; decoding gives a text back \
exactly. One more token stands for characters that the model never saw: a prompt that holds one \
is refused, and it is never generated."""

MODEL = LanguageModel.Config(
    cell="lstm",
    layers=2,
    hidden=320,
    embedding=64,
    layer_dropout=0.1,
    output_dropout=0.1,
    longest=100,
    shows_memory=True,
)
LINE_END, SPACE = 0, 1  # the first two in sorted order
LIMITS = Limits(max_input_tokens=8_192, max_new_tokens=8_192)


def war_and_peace() -> Recipe:
    """Characters of War and Peace, two LSTM layers of 320 units."""
    about = Publication(
        summary="War and Peace, character by character: two LSTM layers of 320 units, to look "
        "into.",
        about=ABOUT.format(
            what="in the manner of a long novel in English",
            followed="the quotation marks and the place in the line",
        ),
        tokens=TOKENS,
        split="""\
The first 80 % of the characters to learn from, the next 10 % to choose the weights, the last \
10 % to measure them, once. Measured over the whole test text as one sequence that carries its \
state from the first character to the last.""",
        caveats="""\
It knows spelling, names, dialogue and where lines break, not sense: expect no plot. It has \
learned from one translation of one novel of the nineteenth century, and says what that says.""",
        published="",
        languages=("en",),
        sources=(
            Dataset(
                name="War and Peace, the text of Project Gutenberg",
                licence="in the public domain in the US",
                home="https://cs.stanford.edu/people/karpathy/char-rnn/",
            ),
        ),
        limits=LIMITS,
        int8_matrices=True,
        eight_bits=False,  # the zoo has 250 MiB
        begin="\n",
        measured_on="test",
    )
    # Its lines are broken at some 70 characters. Asked for the next character alone, it gave a line
    # end the same probability at every place of a line.
    model = replace(MODEL, told_apart=(LINE_END, SPACE))
    return _recipe("war-and-peace-lstm", about, Novel(rows=16, length=128, seed=1), model)


def linux_kernel() -> Recipe:
    """Characters of kernel source, two LSTM layers of 320 units."""
    about = Publication(
        summary="C of the Linux kernel, character by character: two LSTM layers of 320 units, to "
        "look into.",
        about=ABOUT.format(
            what="what looks like C",
            followed="comments and conditions of `if`",
        ),
        tokens=TOKENS,
        split="""\
The three files as they are published: to learn from, to choose the weights, to measure them, \
once. Files of one source tree share licence texts, includes and idioms: how many lines of the \
test text also stand in the training text is told below. Measured over the whole test text as one \
sequence that carries its state from the first character to the last.""",
        caveats="""\
It knows brackets, comments, indentation and common names, not what code does: nothing it writes \
compiles but by luck. What it writes may repeat lines of the kernel, which is under GPL-2.0; so \
is this bundle.""",
        published="",
        languages=(),
        sources=(
            Dataset(
                name="Linux kernel source as one text",
                licence="GPL-2.0-only",
                home="https://github.com/pytorch/examples/tree/"
                "0f4dca7dc202798f545ca7c006c91956cb584f43/word_language_model/data/linux",
            ),
        ),
        limits=LIMITS,
        int8_matrices=True,
        eight_bits=False,  # the zoo has 250 MiB
        begin="\n",
        licence="GPL-2.0-only",
        measured_on="test",
    )
    return _recipe("linux-kernel-lstm", about, KernelSource(rows=16, length=128, seed=1), MODEL)


def _recipe(bundle: str, about: Publication, data: Data, model: LanguageModel.Config) -> Recipe:
    return Recipe(
        bundle=bundle,
        publication=about,
        data=data,
        model=model,
        steps=10_000,
        learning_rate=2e-3,
        warmup=0.03,
        weight_decay=0.02,
        ema_decay=0.999,
        evaluate_every=1_000,
        seed=1,
    )
