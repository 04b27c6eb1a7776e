import numpy as np
import torch

from stepwire_training.data.vectors import neighbours, word_vectors


def test_a_neighbour_counts_by_its_distance_and_inside_its_text_alone():
    pairs, weights = neighbours([np.array([0, 1, 2]), np.array([3, 0])], vocabulary=4)
    found = {(int(a), int(b)): float(w) for a, b, w in zip(*pairs, weights, strict=True)}

    assert found[0, 1] == found[1, 0] == 1.0
    assert found[0, 2] == 0.5
    assert found[0, 3] == 1.0
    assert (2, 3) not in found


def test_tokens_that_are_used_alike_lie_near_each_other():
    rng = np.random.default_rng(0)
    # Tokens 0 and 1 stand before 2 or 3, tokens 4 and 5 before 6 or 7.
    texts = [rng.integers([0, 2], [2, 4]) + 4 * rng.integers(2) for _ in range(400)]
    vectors = torch.nn.functional.normalize(word_vectors(texts, 8, size=4, seed=1))
    likeness = vectors @ vectors.T

    assert likeness[0, 1] > 0.9
    assert likeness[4, 5] > 0.9
    assert likeness[0, 4] < 0.5


def test_the_same_seed_gives_the_same_vectors():
    texts = [np.array([0, 1, 2, 3, 1, 0])] * 3
    first, second = (word_vectors(texts, 4, size=3, seed=5) for _ in range(2))

    assert torch.equal(first, second)
