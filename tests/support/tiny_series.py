"""A tiny forecaster whose every number is known: as NumPy, as an ONNX graph, and as a bundle.

It is made of additions and multiplications of single numbers, so NumPy gives the same bits.
"""

import numpy as np
from onnx import TensorProto, helper

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Graph, Limits, Series, State, Tensor
from support.tiny import make_manifest, onnx_file

COLUMNS = ("tide", "wind")
HORIZON = 3
AHEAD = np.array([[0.5], [0.375], [0.25]], np.float32)  # [H, 1]
FLOAT = TensorProto.FLOAT


class TinySeries:
    """m' = 0.5 m + x; values = m' AHEAD; spread = 0.25 (x - m)^2 AHEAD + AHEAD.

    The score of a row is the sum of (x - m)^2 over its columns; `targets` are predicted.
    """

    def __init__(self, targets=COLUMNS):
        self.targets = tuple(targets)
        self.picked = [COLUMNS.index(name) for name in self.targets]

    def step(self, row, m):
        """What one row gives, and the state after it: plain and slow."""
        row, half, quarter = np.asarray(row, np.float32), np.float32(0.5), np.float32(0.25)
        after = half * m + row
        squared = (row - m) * (row - m)
        values = (after * AHEAD)[:, self.picked]
        spread = (quarter * squared * AHEAD + AHEAD)[:, self.picked]
        return values, spread, np.float32(squared[0] + squared[1]), after

    def read(self, rows, m=None):
        """Reads rows one by one: the last values and spread, every score, the state."""
        m = np.zeros(len(COLUMNS), np.float32) if m is None else m
        scores = []
        for row in rows:
            values, spread, score, m = self.step(row, m)
            scores.append(score)
        return values, spread, scores, m

    def forecast(self, rows, horizon):
        """Values and spread of so many rows, blocks fed back: [R, C] each."""
        values, spread, _, m = self.read(rows)
        blocks = [(values, spread)]
        order = [self.targets.index(name) for name in COLUMNS] if horizon > HORIZON else []
        while HORIZON * len(blocks) < horizon:
            values, spread, _, m = self.read(values[:, order], m)
            blocks.append((values, spread))
        return tuple(np.concatenate(part)[:horizon] for part in zip(*blocks, strict=True))

    def graph(self):
        nodes = [
            helper.make_node("Mul", ["m", "half"], ["kept"]),
            helper.make_node("Add", ["kept", "x"], ["m_next"]),
            helper.make_node("Sub", ["x", "m"], ["apart"]),
            helper.make_node("Mul", ["apart", "apart"], ["squared"]),
            helper.make_node("Unsqueeze", ["m_next", "one"], ["level"]),  # [N, 1, F]
            helper.make_node("Mul", ["level", "ahead"], ["all_values"]),
            helper.make_node("Gather", ["all_values", "picked"], ["values"], axis=2),
            helper.make_node("Mul", ["squared", "quarter"], ["some"]),
            helper.make_node("Unsqueeze", ["some", "one"], ["wide"]),
            helper.make_node("Mul", ["wide", "ahead"], ["share"]),
            helper.make_node("Add", ["share", "ahead"], ["all_spread"]),
            helper.make_node("Gather", ["all_spread", "picked"], ["spread"], axis=2),
            helper.make_node("Split", ["squared"], ["first", "second"], axis=1, num_outputs=2),
            helper.make_node("Add", ["first", "second"], ["score"]),
        ]
        weights = {
            "half": np.array(0.5, np.float32),
            "quarter": np.array(0.25, np.float32),
            "ahead": AHEAD,
            "one": np.array([1], np.int64),
            "picked": np.array(self.picked, np.int64),
        }
        predicted = ["N", HORIZON, len(self.targets)]
        return onnx_file(
            nodes,
            weights,
            {"x": (FLOAT, ["N", len(COLUMNS)]), "m": (FLOAT, ["N", len(COLUMNS)])},
            {
                "values": (FLOAT, predicted),
                "spread": (FLOAT, predicted),
                "score": (FLOAT, ["N", 1]),
                "m_next": (FLOAT, ["N", len(COLUMNS)]),
            },
        )


def series_manifest(name="tides", targets=COLUMNS, max_input_tokens=64):
    predicted = (HORIZON, len(targets))
    return make_manifest(
        name=name,
        task="forecasting",
        series=Series(columns=COLUMNS, targets=tuple(targets), horizon=HORIZON),
        graphs={
            "step": Graph(
                file="step.onnx",
                inputs=(Tensor(name="x", dtype="float32", shape=(len(COLUMNS),), role="features"),),
                outputs=(
                    Tensor(name="values", dtype="float32", shape=predicted, role="values"),
                    Tensor(name="spread", dtype="float32", shape=predicted, role="spread"),
                    Tensor(name="score", dtype="float32", shape=(1,), role="score"),
                ),
                states=(State(input="m", output="m_next", dtype="float32", shape=(len(COLUMNS),)),),
            )
        },
        limits=Limits(max_input_tokens=max_input_tokens),
    )


def write_forecaster(repository, name="tides", targets=COLUMNS):
    """Publishes a tiny forecaster; returns its folder."""
    model, manifest = TinySeries(targets), series_manifest(name, targets)
    rows = np.random.default_rng(4).normal(size=(2, 5, len(COLUMNS))).astype(np.float32)
    values = np.zeros((2, 5, HORIZON, len(targets)), np.float32)
    for place, each in enumerate(rows):
        for count in range(len(each)):
            values[place, count] = model.read(each[: count + 1])[0]
    case = GoldenCase({"features": rows}, {"values": values})
    folder = repository / name / "1"
    files = {"step.onnx": model.graph(), "golden.npz": pack({"step": case})}
    write_bundle(folder, manifest, files)
    return folder


def some_rows(count, seed=0):
    """Rows of the columns, [count, F]."""
    return np.random.default_rng(seed).normal(size=(count, len(COLUMNS))).astype(np.float32)
