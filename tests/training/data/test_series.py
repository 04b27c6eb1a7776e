import numpy as np
import pytest
import torch

from stepwire_training.data.batches import Shard
from stepwire_training.data.series import Cut, Streams, Windows, ahead

CUT = Cut(rows=6, length=10, skip=4, horizon=3)


def counting(rows: int, start: int = 0) -> np.ndarray:
    """Rows that say where they stand: [rows, 2]."""
    numbers = np.arange(start, start + rows, dtype=np.float32)
    return np.stack([numbers, -numbers], axis=1)


def test_targets_are_the_rows_behind_each_position():
    rows = ahead(counting(20), np.array([0, 5]), horizon=3)

    assert rows[:, :, 0].tolist() == [[1, 2, 3], [6, 7, 8]]


def test_a_window_is_a_run_of_rows_with_those_that_follow():
    (features,), targets, fresh = Windows([counting(50)], CUT, seed=1).batch(0, Shard())

    assert fresh
    assert features.shape == (6, 10, 2)
    assert targets.shape == (6, 10, 3, 2)
    starts = features[:, :1, :1]
    assert (features[:, :, 0] == starts[:, 0] + torch.arange(10)).all()
    assert (targets[:, 9, :, 0] == features[:, 9:, 0] + torch.tensor([1, 2, 3])).all()


def test_the_first_rows_of_a_window_are_only_read():
    _, targets, _ = Windows([counting(50)], CUT, seed=1).batch(0, Shard())

    assert targets[:, :4].isnan().all()
    assert not targets[:, 4:].isnan().any()


def test_no_window_runs_from_one_series_into_another():
    windows = Windows([counting(13), counting(40, start=100), counting(14, start=500)], CUT, seed=1)
    seen = set()
    for step in range(60):
        (features,), targets, _ = windows.batch(step, Shard())
        whole = np.concatenate([features[:, :, 0], targets[:, -1, :, 0]], axis=1)
        assert (np.diff(whole, axis=1) == 1).all()
        seen |= {int(start) for start in whole[:, 0]}

    assert seen == {0, *range(100, 128), 500, 501}


def test_a_step_draws_the_same_windows_every_time_and_processes_share_them():
    windows = Windows([counting(500)], CUT, seed=1)
    (whole,), _, _ = windows.batch(7, Shard())
    (again,), _, _ = windows.batch(7, Shard())
    parts = [windows.batch(7, Shard(rank=rank, world=2)).inputs[0] for rank in (0, 1)]

    assert (whole == again).all()
    assert (whole[0::2] == parts[0]).all()
    assert (whole[1::2] == parts[1]).all()
    assert not (whole == windows.batch(8, Shard()).inputs[0]).all()


def test_a_series_without_room_for_a_window_is_refused():
    with pytest.raises(ValueError, match="shorter than 13 rows"):
        Windows([counting(50), counting(12)], CUT, seed=1)


def test_a_stream_is_read_from_its_start_and_counts_only_inside_its_span(monkeypatch):
    monkeypatch.setattr(Streams, "CHUNK", 8)
    streams = Streams([counting(30), counting(20)], [(12, 25), (4, 20)], horizon=3)
    batches = [streams.batch(step, Shard()) for step in range(len(streams))]

    assert [batch.fresh for batch in batches] == [True, False, False, True, False, False]
    read = np.concatenate([batch.inputs[0][0, :, 0] for batch in batches[:3]])
    assert read.tolist() == list(range(22))
    targets = np.concatenate([batch.targets[0] for batch in batches[:3]])
    counted = np.flatnonzero(~np.isnan(targets[:, 0, 0]))
    # A window of three rows lies in rows 12 to 24 if the row before it is 11 to 21.
    assert counted.tolist() == list(range(11, 22))
    assert targets[11, :, 0].tolist() == [12, 13, 14]
