"""What the Shakespeare bundles have in common."""

from stepwire_training.recipe import Publication
from stepwire_zoo.manifest import Dataset, Limits

ABOUT = """\
Writes in the manner of Shakespeare's plays, one character at a time. It is here to be watched: \
a step is one small matrix product a layer, its state is a few KiB however long the text, and \
every request shares its batch."""

TOKENS = """\
One token a character, the 65 of the data in sorted order; decoding gives a text back exactly. \
A 66th token stands for characters that the model never saw: a prompt that holds one is refused, \
and it is never generated."""

SPLIT = """\
The first 90 % of the characters to learn from, the last 10 % to choose the weights and to \
measure them, as nanoGPT and others split it (there is no third part, so the figure is that of \
the best of all evaluations). Measured over the whole validation text as one sequence that \
carries its state from the first character to the last."""

CAVEATS = """\
It knows spelling, verse and the shape of a scene, not sense: expect no plot and no facts. Its 65 \
characters hold no digit but 3. It has learned from one author of the sixteenth and seventeenth \
century, and says what he said."""

PUBLISHED = (
    "1.4697 nats per character, nanoGPT's transformer of 10.6 M parameters on the same split, "
    "github.com/karpathy/nanoGPT"
)


def publication(cell: str, units: int) -> Publication:
    """What a bundle with a kind of cell, so many units a layer, says about itself."""
    return Publication(
        summary=f"Shakespeare, character by character: two {cell} layers of {units} units.",
        about=ABOUT,
        tokens=TOKENS,
        split=SPLIT,
        caveats=CAVEATS,
        published=PUBLISHED,
        languages=("en",),
        sources=(
            Dataset(
                name="tinyshakespeare",
                licence="text in the public domain",
                home="https://github.com/karpathy/char-rnn/tree/master/data/tinyshakespeare",
            ),
        ),
        limits=Limits(max_input_tokens=8_192, max_new_tokens=8_192),
        # Training rows begin anywhere, but a prompt begins a line.
        begin="\n",
    )
