"""Says anew, in words, what a published bundle is built of.

Graphs, golden cases, figures and provenance stay what they are, byte for byte: the words change
in the manifest and in the card, and with them the digests of both.
"""

import re
from dataclasses import replace

from stepwire_training import card
from stepwire_training.recipe import Recipe
from stepwire_zoo.bundle import Bundle, write_bundle

CARD = "CARD.md"
LINE = re.compile(r"^\| architecture \| .*\n", re.MULTILINE)
BEFORE = re.compile(r"^\| task \| .*\n", re.MULTILINE)  # the line that it follows


def retell(bundle: Bundle, recipe: Recipe) -> Bundle:
    """Writes a bundle with the words that the model of its recipe has for itself."""
    manifest = replace(bundle.manifest, architecture=recipe.model.architecture)
    files = bundle.read_all()
    text, line = LINE.sub("", files[CARD].decode()), card.architecture(manifest)
    files[CARD] = BEFORE.sub(lambda found: found[0] + line, text, count=1).encode()
    return write_bundle(bundle.folder, manifest, files)
