"""Draws the neighbourhoods of a few words on a plane.

    python -m stepwire_training.plot_neighbours wikitext2-skipgram --words france river song \
        --out docs/lectures/word_vectors.png

reads the vectors out of a published bundle, takes each word with its nearest, and projects them
on the two directions in which they differ most (their principal components). E values of a
vector, M words that are drawn.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stepwire_training import parity
from stepwire_training.checkpoint import write_atomically
from stepwire_zoo.bundle import Bundle, open_bundle

ZOO = Path("model_zoo/bundles")

Floats = NDArray[np.float32]


class Neighbourhood(NamedTuple):
    """A word and its nearest."""

    words: list[str]  # the word first
    vectors: Floats  # [.., E], each of length one


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the answer is its exit code."""
    line = argparse.ArgumentParser("plot_neighbours", description=__doc__)
    line.add_argument("bundle", help="name of one of the zoo's")
    line.add_argument("--words", nargs="+", required=True, help="words in the middle")
    line.add_argument("--near", type=int, default=8, help="neighbours of each")
    line.add_argument("--zoo", type=Path, default=ZOO, help="repository of bundles")
    line.add_argument("--out", type=Path, required=True, help="the image, a PNG")
    options = line.parse_args(arguments)
    bundle = open_bundle(options.zoo / options.bundle / "1")
    try:
        found = [neighbourhood(bundle, word, options.near) for word in options.words]
    except KeyError as error:
        line.error(f"--words must be known to {options.bundle}, got {error}")
    plane, share = projected(np.concatenate([each.vectors for each in found]))
    title = f"{options.bundle}: {100 * share:.0f} % of what differs is in the plane"
    write_atomically(options.out, drawn(found, plane, title))
    return 0


def neighbourhood(bundle: Bundle, word: str, near: int) -> Neighbourhood:
    """A word of a bundle and its nearest, by what the graph says of it.

    Raises:
        KeyError: the bundle does not know the word.
    """
    numbers = Tokenizer.from_str(bundle.read(bundle.manifest.tokenizer.file).decode()).get_vocab()
    number = numbers[word]
    graph = parity.session(bundle.read(bundle.manifest.graphs["sequence"].file))
    [cosines] = graph.run(["cosines"], {"tokens": np.array([[number]]), "lengths": np.array([1])})
    order = [place for place in np.argsort(-cosines[0]).tolist() if place]  # 0 is no word
    tokens = np.array([number, *[place for place in order if place != number][:near]])[:, None]
    feeds = {"tokens": tokens, "lengths": np.ones(len(tokens), np.int64)}
    [vectors] = graph.run(["vector"], feeds)
    names = sorted(numbers, key=numbers.__getitem__)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Neighbourhood([names[place] for [place] in tokens.tolist()], units)


def projected(vectors: Floats) -> tuple[Floats, float]:
    """Vectors [M, E] on their first two principal components.

    Returns:
        [M, 2], and the share of the variance that lies in this plane.
    """
    centred = vectors - vectors.mean(axis=0)
    _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
    share = np.square(strengths[:2]).sum() / np.square(strengths).sum()
    # Either end of a direction may come first: the largest part of each is made positive.
    signs = np.sign(directions[np.arange(2), np.abs(directions[:2]).argmax(axis=1)])
    plane: Floats = centred @ (directions[:2] * signs[:, None]).T
    return plane, float(share)


def drawn(found: Sequence[Neighbourhood], plane: Floats, title: str) -> bytes:
    """A PNG image: a colour for each neighbourhood, its middle in bold."""
    # Imported here: drawing is slow to load.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    axes = figure.subplots()
    left = iter(plane.tolist())
    for place, each in enumerate(found):
        for number, (word, (x, y)) in enumerate(zip(each.words, left, strict=False)):
            weight = "bold" if number == 0 else "normal"
            axes.plot(x, y, ".", color=f"C{place}", markersize=9 if number == 0 else 5)
            axes.annotate(word, (x, y), (3, 3), textcoords="offset points", weight=weight)
    axes.set(title=title, xticks=[], yticks=[])
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    return image.getvalue()


if __name__ == "__main__":
    sys.exit(main())
