"""Proves the graph of word vectors (see parity), and makes its golden case."""

import numpy as np

from stepwire_training import parity
from stepwire_training.data.batches import Dataset, Worded
from stepwire_training.data.splitting import Ids
from stepwire_training.graphs.embedding import embedding_graph
from stepwire_training.models.network import Network
from stepwire_training.models.word_vectors import Table, WordVectors
from stepwire_training.proved import GOLDEN, Proved
from stepwire_training.recipe import Recipe
from stepwire_zoo.manifest import Graph, Tensor

GOLDEN_WORDS = 4


def prove_vectors(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """A sequence graph of what words are made of.

    Raises:
        ParityError: the graph does not compute what PyTorch does.
    """
    assert isinstance(model, WordVectors)
    assert dataset.worded
    vectors, words, buckets = model.published(), model.words, recipe.publication.buckets
    content, table = embedding_graph(vectors, words), Table(vectors, words)
    rows = golden_words(dataset.worded)
    positions = min(bucket for bucket in buckets if bucket >= max(map(len, rows)))
    size = vectors.shape[1]
    graph = Graph(
        file="sequence.onnx",
        inputs=(
            Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
            Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
        ),
        outputs=(
            Tensor(name="vector", dtype="float32", shape=(size,), role="vector"),
            Tensor(name="cosines", dtype="float32", shape=(words,), role="cosines"),
        ),
        buckets=buckets,
    )
    return Proved(
        graphs={"sequence": graph},
        contents={"sequence": content},
        cases={"sequence": parity.sequence_case(table, rows, positions)},
        difference=parity.prove_sequence(content, table, rows, buckets, GOLDEN),
    )


def golden_words(worded: Worded) -> list[Ids]:
    """A few words from the commonest to the rarest, every other one as if it were unknown.

    Few, because each is compared with all words, and the golden case keeps every cosine.
    """
    known = worded.known
    places = np.geomspace(1, len(known.counts) - 1, num=GOLDEN_WORDS).astype(int).tolist()
    made = [known.parts_in(known.words[place]) for place in places]
    return [
        np.array(made[number] if number % 2 and made[number] else [place])
        for number, place in enumerate(places)
    ]
