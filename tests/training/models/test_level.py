import numpy as np
import torch

from stepwire_training.models.level import track


def read(x, memory=1000.0, seen=0.0, level=0.0, variance=0.0):
    states = (torch.full((1, 1), value) for value in (seen, level, variance))
    levels, variances = track(torch.tensor(x).view(1, -1, 1), *states, memory)
    return levels[0, :, 0], variances[0, :, 0]


def test_of_the_first_rows_it_is_the_plain_mean_and_variance():
    x = np.random.default_rng(0).normal(size=20).astype(np.float32)
    levels, variances = read(x)

    for rows in (1, 2, 20):
        np.testing.assert_allclose(levels[rows - 1], x[:rows].mean(), atol=1e-6)
        np.testing.assert_allclose(variances[rows - 1], x[:rows].var(), atol=1e-6)


def test_what_is_long_gone_is_forgotten():
    levels, variances = read([0.0] * 50 + [1.0] * 500, memory=20.0)

    assert levels[-1] > 0.999
    assert variances[-1] < 1e-3


def test_it_goes_on_from_where_it_stood():
    x = [3.0, 1.0, 4.0, 1.0, 5.0]
    levels, variances = read(x)
    again, others = read(x[3:], seen=3.0, level=float(levels[2]), variance=float(variances[2]))

    np.testing.assert_allclose(again, levels[3:], atol=1e-6)
    np.testing.assert_allclose(others, variances[3:], atol=1e-6)
