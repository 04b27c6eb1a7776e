"""The Numenta Anomaly Benchmark: 58 streams of one value, with windows where they are strange.

Learned from is every other stream, counted in the order of their names; nothing of the
others but their figures is ever looked at. Of those learned from, every fourth chooses
the weights. The labels only choose the threshold of alarms, on the same half.

The archive holds the benchmark's own folders `data` and `labels`, packed into one file;
it has to lie in a data folder, for the one that its home offers is packed otherwise.
"""

import csv
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepwire_training.data.batches import Dataset
from stepwire_training.data.fetch import Source
from stepwire_training.data.observed import Labelled, Observed
from stepwire_training.data.series import Cut, Streams, Windows

ARCHIVE = Source(
    path="nab/nab-data-labels.tar",
    url="https://codeload.github.com/numenta/NAB/tar.gz/refs/heads/master",
    sha256="f89234bfe09e673e38f6addf30fa42cadf42b996e221c5b15c6fe21b71296070",
)
LABELS = "labels/combined_windows.json"
DEV_EVERY = 4  # of the streams learned from, which of them choose the weights


@dataclass(frozen=True, kw_only=True)
class Anomalies:
    """Windows of half of the streams."""

    cut: Cut
    seed: int  # draws the windows

    def load(self) -> Dataset:
        """Reads the archive and makes its splits."""
        with tarfile.open(fileobj=io.BytesIO(ARCHIVE.read())) as archive:
            contents = {
                member.name: (archive.extractfile(member) or io.BytesIO()).read().decode()
                for member in archive.getmembers()
                if member.name.endswith((".csv", ".json"))
            }
        return split(parse(contents), self)


def parse(contents: dict[str, str]) -> list[Labelled]:
    """The streams in the order of their names.

    Args:
        contents: of the archive's files, by name.
    """
    streams = []
    for name, windows in sorted(json.loads(contents[LABELS]).items()):
        records = list(csv.DictReader(io.StringIO(contents[f"data/{name}"])))
        # Labels carry fractions of a second, all zero.
        times = [record["timestamp"][:19] for record in records]
        rows = np.array([[float(record["value"])] for record in records], np.float32)
        found = tuple((times.index(a[:19]), times.index(b[:19])) for a, b in windows)
        streams.append(Labelled(name, rows, found))
    return streams


def split(streams: Sequence[Labelled], config: Anomalies) -> Dataset:
    """Streams as a data set: every other one is held out."""
    learned, unseen = streams[0::2], streams[1::2]
    dev = learned[::DEV_EVERY]
    train = [stream for place, stream in enumerate(learned) if place % DEV_EVERY]
    horizon = config.cut.horizon
    return Dataset(
        tokenizer=None,
        labels=(),
        train=Windows([stream.rows for stream in train], config.cut, config.seed),
        dev=_read(dev, config.cut),
        test=_read(unseen, config.cut),
        facts={
            "streams that weights are learned from": len(train),
            "streams that choose among them": len(dev),
            "streams held out": len(unseen),
            "values learned from": sum(len(stream.rows) for stream in train),
            "labelled windows held out": sum(len(stream.windows) for stream in unseen),
        },
        series=Observed(
            columns=("value",),
            horizon=horizon,
            means=np.zeros(1, np.float32),
            scales=np.ones(1, np.float32),
            learned=tuple(learned),
            unseen=tuple(unseen),
        ),
    )


def _read(streams: Sequence[Labelled], cut: Cut) -> Streams:
    """Streams from end to end; predictions count once so much was read as in training."""
    spans = [(cut.skip, len(stream.rows)) for stream in streams]
    return Streams([stream.rows for stream in streams], spans, cut.horizon)
