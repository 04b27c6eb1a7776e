"""The same word vectors by gensim, on the same texts and measured by the same lines.

    pip install gensim
    PYTHONHASHSEED=0 python -m stepwire_training.compare_gensim wikitext2
    PYTHONHASHSEED=0 python -m stepwire_training.compare_gensim nsmc

writes recipes/wikitext2_gensim.csv or recipes/nsmc_gensim.csv, which the cards show, with the
version of gensim. It is for this comparison alone and part of no extra. It reads the texts as
often as 2,400 steps do, with the size, window, noise and threshold of the recipe of skip-gram;
rates are gensim's own.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from stepwire_training.card import RECIPES as FOLDER
from stepwire_training.checkpoint import write_atomically
from stepwire_training.comparing import written
from stepwire_training.data.batches import Worded
from stepwire_training.data.corpus import Texts
from stepwire_training.data.windows import Beside
from stepwire_training.data.worded import FilmReviews, WikiText
from stepwire_training.measure_vectors import Asked, Floats, figures
from stepwire_training.models.word_vectors import NoiseContrast
from stepwire_training.recipe import Recipe
from stepwire_training.recipes import nsmc_vectors, wikitext2_vectors
from stepwire_zoo.manifest import Metric

RECIPES: dict[str, Callable[[], Recipe]] = {
    "wikitext2": wikitext2_vectors.skip_gram,
    "nsmc": nsmc_vectors.skip_gram,
}
STEPS = 2_400  # of the recipes' batches: how much of the texts gensim reads
BUCKETS = 200_000  # of gensim's parts of words: a tenth of its own, for the memory of a laptop


class Trained(NamedTuple):
    """What gensim made."""

    name: str
    vectors: Any  # a KeyedVectors
    minutes: float


class GensimAsked(Asked):
    """Vectors of gensim, which may make those of unknown words by rules of its own."""

    def __init__(self, vectors: Any, worded: Worded) -> None:
        rows = [vectors.get_vector(word) for word in worded.known.words[1:]]
        super().__init__(np.stack([np.zeros_like(rows[0]), *rows]), worded.known)
        self._vectors = vectors

    def vector(self, word: str) -> Floats | None:
        """The vector of a word, if gensim has one or makes one."""
        try:
            found: Floats = self._vectors.get_vector(self.written(word))
        except KeyError:
            return None
        return found


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; the answer is the exit code."""
    line = argparse.ArgumentParser("compare_gensim", description=__doc__)
    line.add_argument("texts", choices=sorted(RECIPES))
    name = line.parse_args(arguments).texts
    heading, *rows = compared(RECIPES[name]())
    write_atomically(FOLDER / f"{name}_gensim.csv", written(heading, rows).encode())
    return 0


def compared(recipe: Recipe) -> list[tuple[str, ...]]:
    """What gensim's models reach: the heading of a table, and a row for each."""
    data, model = recipe.data, recipe.model
    assert isinstance(data, WikiText | FilmReviews)
    assert isinstance(data.learned, Beside)
    assert isinstance(model, NoiseContrast.Config)
    dataset = data.load()
    assert dataset.worded
    settings = {
        "vector_size": model.size,
        "window": data.learned.window,
        "min_count": data.counted.at_least,
        "negative": round(model.negatives),
        "sample": data.learned.thin,
        "epochs": round(STEPS / len(dataset.train)),
        "workers": 1,  # more would not give the same twice
        "seed": recipe.seed,
    }
    texts, _ = data.texts()
    results = [
        (made, figures(GensimAsked(made.vectors, dataset.worded), dataset.worded.tests))
        for made in train(texts, settings)
    ]
    import gensim  # of no extra: installed for this alone

    return table(results, gensim.__version__)


def train(texts: Texts, settings: dict[str, Any]) -> Iterator[Trained]:
    """Trains every kind of model that gensim has of those that the zoo has."""
    from gensim.models import FastText, Word2Vec

    kinds: dict[str, Callable[[], Any]] = {
        "Word2Vec, skip-gram": lambda: Word2Vec(texts, sg=1, **settings),
        "Word2Vec, bag of words": lambda: Word2Vec(texts, sg=0, **settings),
        "FastText, skip-gram": lambda: FastText(texts, sg=1, bucket=BUCKETS, **settings),
    }
    for name, make in kinds.items():
        began = time.process_time()
        vectors = make().wv
        yield Trained(name, vectors, (time.process_time() - began) / 60)


def table(
    results: Sequence[tuple[Trained, Sequence[Metric]]], version: str
) -> list[tuple[str, ...]]:
    """The figures of every model, as text; a model without parts has them of known words alone."""
    names = [(metric.name, metric.split) for metric in results[-1][1] if metric.name != "known"]
    heading = (f"gensim {version}", *(f"{name}, {split}" for name, split in names), "CPU minutes")
    rows = []
    for made, metrics in results:
        found = {(metric.name, metric.split): f"{metric.value:.4f}" for metric in metrics}
        rows.append((made.name, *(found[name] for name in names), f"{made.minutes:.1f}"))
    return [heading, *rows]


if __name__ == "__main__":
    sys.exit(main())
