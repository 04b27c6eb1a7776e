"""What classifiers of reviews go by, and what they cost.

How they do on short and on long texts, and on words in disorder; CPU time of a text.

    python -m stepwire_training.compare_kinds

judges the test reviews with the published graphs and writes recipes/nsmc_kinds.csv, which
docs/sentiment_compared.md shows. Nothing is trained.

N reviews, C labels.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from stepwire_training import parity
from stepwire_training.card import RECIPES
from stepwire_training.checkpoint import write_atomically
from stepwire_training.comparing import written
from stepwire_training.data import nsmc
from stepwire_training.data.splitting import Ids
from stepwire_zoo.bundle import Bundle, open_bundle

TABLE = "nsmc_kinds.csv"
ZOO = Path(__file__).resolve().parents[2] / "model_zoo" / "bundles"
BUNDLES = (
    *("nsmc-bayes", "nsmc-cnn", "nsmc-rnn", "nsmc-gru", "nsmc-lstm", "nsmc-ln-lstm"),
    *("nsmc-transformer", "nsmc-bilstm"),
)
LENGTHS = (8, 16, 32)  # in tokens: where one kind of length ends and the next begins
ROWS = 64  # reviews judged at once
TIMED, ROUNDS = 2_000, 5  # reviews, and how often; the lowest time counts
SEED = 1  # of the disorder


class Reviews(NamedTuple):
    """Reviews, cut into tokens."""

    texts: list[Ids]  # N of them
    labels: Ids  # [N]


def main(arguments: list[str] | None = None) -> int:
    """Writes the table; the answer is the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, default=ZOO, help="repository of bundles")
    zoo = parser.parse_args(arguments).zoo
    bundles = [open_bundle(zoo / name / "1") for name in BUNDLES]
    rows = [
        (*row(bundle), f"{1e6 * seconds:.0f}")
        for bundle, seconds in zip(bundles, costs(bundles), strict=True)
    ]
    write_atomically(RECIPES / TABLE, written(heading(), rows).encode())
    return 0


def heading() -> tuple[str, ...]:
    """What the columns are."""
    starts = (1, *(end + 1 for end in LENGTHS))
    kinds = [f"{start} to {end} tokens" for start, end in zip(starts, LENGTHS, strict=False)]
    last = ("all", "all, tokens in disorder", "CPU µs a text")
    return ("bundle", *kinds, f"from {starts[-1]} tokens", *last)


def row(bundle: Bundle) -> tuple[str, ...]:
    """The line of a bundle: shares of the test reviews that get their label."""
    reviews = read(bundle)
    hits = judged(bundle, reviews.texts) == reviews.labels
    places = np.digitize([len(text) for text in reviews.texts], LENGTHS, right=True)
    shares = [hits[places == place].mean() for place in range(len(LENGTHS) + 1)]
    mixed = judged(bundle, disordered(reviews.texts)) == reviews.labels
    found = (*shares, hits.mean(), mixed.mean())
    return (bundle.manifest.name, *(f"{share:.4f}" for share in found))


def read(bundle: Bundle) -> Reviews:
    """The test reviews in the tokens of a bundle."""
    tokenizer = Tokenizer.from_str(bundle.read("tokenizer.json").decode())
    return Reviews(*nsmc.encode(nsmc.parse(nsmc.TEST.read()), tokenizer))


def costs(bundles: Sequence[Bundle]) -> list[float]:
    """Seconds of CPU time that a text takes on one thread, in batches; in turns, the lowest."""
    asked = [(bundle, read(bundle).texts[:TIMED]) for bundle in bundles]
    found = [float("inf")] * len(asked)
    for _ in range(ROUNDS):
        for place, (bundle, texts) in enumerate(asked):
            graph = parity.session(bundle.read(bundle.manifest.graphs["sequence"].file))
            began = time.process_time()
            judged(bundle, texts, graph)
            found[place] = min(found[place], (time.process_time() - began) / len(texts))
    return found


def disordered(texts: Sequence[Ids]) -> list[Ids]:
    """The same tokens of each text, in an order drawn by the seed."""
    rng = np.random.default_rng(SEED)
    return [rng.permutation(text) for text in texts]


def judged(bundle: Bundle, texts: Sequence[Ids], graph: parity.Runs | None = None) -> Ids:
    """The label of each text, [N]; padded as a server does it, and as long ones are cut."""
    spec = bundle.manifest.graphs["sequence"]
    graph = graph or parity.session(bundle.read(spec.file))
    cut = [text[: spec.buckets[-1]] for text in texts]
    sizes = np.array([min(size for size in spec.buckets if size >= len(text)) for text in cut])
    found = np.zeros(len(texts), np.int64)
    for size in np.unique(sizes):
        places = np.flatnonzero(sizes == size)
        for part in np.array_split(places, -(-len(places) // ROWS)):
            rows = [cut[place] for place in part]
            feeds = {
                "tokens": parity.padded(rows, int(size)),
                "lengths": np.array([len(text) for text in rows]),
            }
            found[part] = parity.run(graph, feeds)["logits"].argmax(axis=1)
    return found


if __name__ == "__main__":
    sys.exit(main())
