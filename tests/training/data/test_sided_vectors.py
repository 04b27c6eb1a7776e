import numpy as np
import torch

from stepwire_training.data.sided_vectors import sided_vectors

THE, DOG, CAT, RUNS, SLEEPS, NEVER = range(6)


def test_words_that_stand_alike_have_vectors_alike():
    rng = np.random.default_rng(0)
    texts = [
        np.array([THE, rng.choice([DOG, CAT]), rng.choice([RUNS, SLEEPS])]) for _ in range(300)
    ]
    vectors = torch.nn.functional.normalize(sided_vectors(texts, 6, 3, seed=1), dim=1)

    assert vectors[DOG] @ vectors[CAT] > 0.9
    assert vectors[RUNS] @ vectors[SLEEPS] > 0.9
    assert vectors[DOG] @ vectors[RUNS] < 0.5


def test_a_word_that_stands_nowhere_has_zeros():
    vectors = sided_vectors([np.array([THE, DOG, RUNS])] * 5, 6, 2, seed=1)

    assert (vectors[NEVER] == 0).all()
