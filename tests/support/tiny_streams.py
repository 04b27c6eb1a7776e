"""Tiny models that are stepped by their callers: one that judges along, one that forecasts."""

import numpy as np
from onnx import TensorProto, helper

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Graph, Limits, Series, State, Tensor, Tokenizer
from support.tiny import (
    HIDDEN,
    UNKNOWN,
    VOCABULARY,
    TinyCell,
    character_tokenizer,
    make_manifest,
    onnx_file,
)

LABELS = ("negative", "neutral", "positive")
SERIES = Series(columns=("load", "oil"), targets=("oil",), horizon=3)


def write_watcher(repository, name="watcher"):
    """Publishes a tiny classifier that judges while it reads; returns its folder."""
    cell = TinyCell(seed=3)
    cell.output = cell.output[:, : len(LABELS)].copy()
    manifest = make_manifest(
        name=name,
        task="classification",
        labels=LABELS,
        graphs={
            "step": Graph(
                file="step.onnx",
                inputs=(Tensor(name="token", dtype="int64", shape=(), role="token"),),
                outputs=(
                    Tensor(name="logits", dtype="float32", shape=(len(LABELS),), role="logits"),
                ),
                states=tuple(_state(part, HIDDEN) for part in ("h", "c")),
            )
        },
        tokenizer=Tokenizer(file="tokenizer.json", vocabulary_size=VOCABULARY, unknown=UNKNOWN),
        limits=Limits(max_input_tokens=64),
    )
    tokens = np.random.default_rng(4).integers(0, VOCABULARY, size=(2, 5))
    case = GoldenCase({"token": tokens}, {"logits": cell.run(tokens)})
    return _write(
        repository, manifest, case, cell.graph(), {"tokenizer.json": character_tokenizer()}
    )


class TinyForecaster:
    """h' = tanh(x W + h R); values = h' U, spread = |h' S|, score = h u."""

    def __init__(self, seed=5):
        rng = np.random.default_rng(seed)
        features, ahead = len(SERIES.columns), SERIES.horizon
        shapes = {"read": (features, HIDDEN), "recur": (HIDDEN, HIDDEN), "foresee": (HIDDEN, ahead)}
        shapes |= {"spread_of": (HIDDEN, ahead), "score_of": (HIDDEN, 1)}
        self.weights = {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}

    def compute(self, x, h):
        """What one step of [N, F] gives: the outputs by role, and the next state."""
        w = self.weights
        following = np.tanh(x @ w["read"] + h @ w["recur"])
        ahead = (len(x), SERIES.horizon, 1)
        values = (following @ w["foresee"]).reshape(ahead)
        spread = np.abs(following @ w["spread_of"]).reshape(ahead)
        return {"values": values, "spread": spread, "score": h @ w["score_of"]}, following

    def graph(self):
        nodes = [
            helper.make_node("MatMul", ["x", "read"], ["seen"]),
            helper.make_node("MatMul", ["h", "recur"], ["kept"]),
            helper.make_node("Add", ["seen", "kept"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["h_next"]),
            helper.make_node("MatMul", ["h_next", "foresee"], ["flat"]),
            helper.make_node("Reshape", ["flat", "ahead"], ["values"]),
            helper.make_node("MatMul", ["h_next", "spread_of"], ["signed"]),
            helper.make_node("Abs", ["signed"], ["flat_spread"]),
            helper.make_node("Reshape", ["flat_spread", "ahead"], ["spread"]),
            helper.make_node("MatMul", ["h", "score_of"], ["score"]),
        ]
        weights = self.weights | {"ahead": np.array([-1, SERIES.horizon, 1], np.int64)}
        shapes = {"x": ["N", len(SERIES.columns)], "h": ["N", HIDDEN]}
        told = {"values": ["N", SERIES.horizon, 1], "spread": ["N", SERIES.horizon, 1]}
        told |= {"score": ["N", 1], "h_next": ["N", HIDDEN]}
        return onnx_file(nodes, weights, _floats(shapes), _floats(told))


def write_forecaster(repository, name="forecaster"):
    """Publishes a tiny forecaster; returns its folder."""
    model, ahead = TinyForecaster(), (SERIES.horizon, 1)
    manifest = make_manifest(
        name=name,
        task="forecasting",
        series=SERIES,
        graphs={
            "step": Graph(
                file="step.onnx",
                inputs=(
                    Tensor(
                        name="x", dtype="float32", shape=(len(SERIES.columns),), role="features"
                    ),
                ),
                outputs=(
                    Tensor(name="values", dtype="float32", shape=ahead, role="values"),
                    Tensor(name="spread", dtype="float32", shape=ahead, role="spread"),
                    Tensor(name="score", dtype="float32", shape=(1,), role="score"),
                ),
                states=(_state("h", HIDDEN),),
            )
        },
        limits=Limits(max_input_tokens=64),
    )
    rows = np.random.default_rng(6).normal(size=(2, 5, len(SERIES.columns))).astype(np.float32)
    told, state = [], np.zeros((len(rows), HIDDEN), np.float32)
    for step in range(rows.shape[1]):
        outputs, state = model.compute(rows[:, step], state)
        told.append(outputs)
    wanted = {role: np.stack([each[role] for each in told], axis=1) for role in told[0]}
    return _write(repository, manifest, GoldenCase({"features": rows}, wanted), model.graph())


def _state(name, size):
    return State(input=name, output=f"{name}_next", dtype="float32", shape=(size,))


def _floats(shapes):
    return {name: (TensorProto.FLOAT, shape) for name, shape in shapes.items()}


def _write(repository, manifest, case, graph, files=None):
    folder = repository / manifest.name / manifest.version
    golden = pack({"step": case})
    write_bundle(folder, manifest, {"step.onnx": graph, "golden.npz": golden, **(files or {})})
    return folder
