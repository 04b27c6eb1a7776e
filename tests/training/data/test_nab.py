import json

import numpy as np

from stepwire_training.data.nab import LABELS, Anomalies, parse, split
from stepwire_training.data.observed import Labelled
from stepwire_training.data.series import Cut

CONFIG = Anomalies(cut=Cut(rows=4, length=10, skip=2, horizon=1), seed=1)


def csv_of(*values: float) -> str:
    lines = [f"2014-04-10 00:0{minute}:00,{value}" for minute, value in enumerate(values)]
    return "\n".join(["timestamp,value", *lines]) + "\n"


def test_windows_are_read_as_rows_and_streams_by_name():
    windows = [["2014-04-10 00:01:00.000000", "2014-04-10 00:03:00.000000"]]
    contents = {
        LABELS: json.dumps({"b/two.csv": windows, "a/one.csv": []}),
        "data/a/one.csv": csv_of(1, 2),
        "data/b/two.csv": csv_of(5, 6, 7, 8, 9),
    }
    one, two = parse(contents)

    assert (one.name, one.windows) == ("a/one.csv", ())
    assert (two.name, two.windows) == ("b/two.csv", ((1, 3),))
    assert two.rows.tolist() == [[5], [6], [7], [8], [9]]


def test_every_other_stream_is_held_out():
    rows = np.zeros((20, 1), np.float32)
    streams = [Labelled(str(number), rows, ()) for number in range(12)]
    data = split(streams, CONFIG)

    assert [stream.name for stream in data.series.unseen] == ["1", "3", "5", "7", "9", "11"]
    assert [stream.name for stream in data.series.learned] == ["0", "2", "4", "6", "8", "10"]
    assert data.facts["streams that weights are learned from"] == 4
    assert data.facts["streams that choose among them"] == 2
