import numpy as np
import pytest

from stepwire_training.data.batches import Shard
from stepwire_training.data.ett import SPLITS, Transformer, parse, split
from stepwire_training.data.series import Cut

CONFIG = Transformer(columns=("LOAD", "OT"), cut=Cut(rows=4, length=10, skip=2, horizon=5), seed=1)
TEXT = "date,OT,LOAD\n2016-07-01 00:00:00,30.5,5.8\n2016-07-01 01:00:00,27.8,5.7\n"


def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(loc=3.0, size=(200, 2)).astype(np.float32)


def test_columns_are_read_by_name_in_the_order_asked_for():
    assert parse(TEXT, ("LOAD", "OT")) == pytest.approx(np.array([[5.8, 30.5], [5.7, 27.8]]))
    assert parse(TEXT, ("OT",)).shape == (2, 1)


def test_the_splits_are_twelve_four_and_four_months_of_thirty_days():
    assert SPLITS == (8_640, 11_520, 14_400)


def test_means_and_deviations_are_those_of_the_training_rows_alone():
    data = split(rows(), CONFIG, ends=(120, 160, 200))

    assert np.allclose(data.series.means, rows()[:120].mean(axis=0))
    assert np.allclose(data.series.scales, rows()[:120].std(axis=0))
    assert np.allclose(data.vectors(), data.series.scales)
    assert data.sizes == (2, 5, 0)
    assert data.tokenizer is None


def test_nothing_behind_a_split_is_looked_at_when_it_is_read():
    changed = rows()
    changed[160:] = 99.0
    ends = (120, 160, 200)
    for untouched in ("train", "dev"):
        before, after = (
            getattr(split(series, CONFIG, ends), untouched).batch(0, Shard())
            for series in (rows(), changed)
        )
        assert before.inputs[0].equal(after.inputs[0])
        assert np.array_equal(before.targets, after.targets, equal_nan=True)


def test_validation_windows_lie_in_the_validation_rows():
    data = split(rows(), CONFIG, ends=(120, 160, 200))
    _, targets, _ = data.dev.batch(0, Shard())
    counted = np.flatnonzero(~targets[0, :, 0, 0].isnan())

    assert (counted[0] + 1, counted[-1] + 5) == (120, 159)
