import numpy as np
import pytest
import torch

from stepwire_training import parity
from stepwire_training.graphs.embedding import embedding_graph
from stepwire_training.models.word_vectors import Table
from stepwire_zoo.manifest import Golden

WORDS = 300


@pytest.fixture(scope="module")
def table():
    torch.manual_seed(0)
    found = torch.randn(WORDS + 50, 100)
    found[0] = 0
    return found


def test_the_graph_computes_what_pytorch_does_at_every_length(table):
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, len(table), length) for length in (1, 1, 3, 7, 40, 64)]
    golden = Golden(file="golden.npz", absolute_tolerance=1e-5, relative_tolerance=1e-5)
    content = embedding_graph(table, WORDS)
    parity.prove_sequence(content, Table(table, WORDS), rows, (1, 8, 16, 64), golden)


def test_what_stands_behind_a_row_changes_no_bit_of_it(table):
    graph = parity.session(embedding_graph(table, WORDS))
    feeds = {"tokens": np.array([[3, 4, 0, 0], [3, 4, 9, 5]]), "lengths": np.array([2, 2])}
    for value in parity.run(graph, feeds).values():
        assert (value[0] == value[1]).all()


def test_a_vector_of_nothing_is_near_nothing(table):
    graph = parity.session(embedding_graph(table, WORDS))
    told = parity.run(graph, {"tokens": np.array([[0]]), "lengths": np.array([1])})
    assert (told["vector"] == 0).all()
    assert (told["cosines"] == 0).all()
