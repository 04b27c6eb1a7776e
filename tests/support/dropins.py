"""Files as other people make them: from several exporters, by hand, in several styles.

Each is a function that gives the bytes of an ONNX file. Weights are random, fixed by a seed.
"""

import functools
import io
import logging
import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

HIDDEN, FEATURES, CLASSES, WORDS = 24, 8, 5, 50
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Tagger(nn.Module):
    """A recurrent layer and an output for each step; states go in and come out."""

    def __init__(self, kind=nn.LSTM, **settings):
        super().__init__()
        torch.manual_seed(5)
        self.recurrent = kind(FEATURES, HIDDEN, **settings)
        ways = 2 if self.recurrent.bidirectional else 1
        self.output = nn.Linear(HIDDEN * ways, CLASSES)
        self.eval()


class LstmTagger(Tagger):
    def forward(self, x, h, c):
        y, (h, c) = self.recurrent(x, (h, c))
        return self.output(y), h, c


class GruTagger(Tagger):
    def __init__(self, **settings):
        super().__init__(nn.GRU, **settings)

    def forward(self, x, h):
        y, h = self.recurrent(x, h)
        return self.output(y), h


class Classifier(nn.Module):
    """Whole texts, read both ways; nothing goes on from one to the next."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(6)
        self.embed = nn.Embedding(WORDS, FEATURES)
        self.recurrent = nn.LSTM(FEATURES, HIDDEN, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * HIDDEN, CLASSES)
        self.eval()

    def forward(self, tokens):
        y, _ = self.recurrent(self.embed(tokens))
        return self.output(y.mean(1))


class PackedClassifier(Classifier):
    """The same with lengths, as pack_padded_sequence has them."""

    def forward(self, tokens, lengths):
        start = torch.zeros(2, tokens.shape[0], HIDDEN)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        _, (h, _) = self.recurrent(packed, (start, start))
        return self.output(torch.cat([h[0], h[1]], 1))


class LstmByHand(nn.Module):
    """One step of a cell, written out: no operator says which state is which."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        self.cell = nn.Linear(FEATURES + HIDDEN, 4 * HIDDEN)
        self.output = nn.Linear(HIDDEN, CLASSES)
        self.eval()

    def forward(self, x, a, b):
        i, f, g, o = self.cell(torch.cat([x, a], 1)).chunk(4, 1)
        b = torch.sigmoid(f) * b + torch.sigmoid(i) * torch.tanh(g)
        a = torch.sigmoid(o) * torch.tanh(b)
        return self.output(a), a, b


class LoopByHand(LstmByHand):
    """The same over a chunk of steps; scripted, its loop is one in the file too."""

    def forward(self, x, a, b):
        outputs = []
        for step in range(x.shape[1]):
            i, f, g, o = self.cell(torch.cat([x[:, step], a], 1)).chunk(4, 1)
            b = torch.sigmoid(f) * b + torch.sigmoid(i) * torch.tanh(g)
            a = torch.sigmoid(o) * torch.tanh(b)
            outputs.append(self.output(a))
        return torch.stack(outputs, 1), a, b


class CachedAttention(nn.Module):
    """A decoder's step that looks back at everything it has seen; its cache grows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(8)
        self.embed = nn.Embedding(WORDS, HIDDEN)
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.output = nn.Linear(HIDDEN, WORDS)
        self.eval()

    def forward(self, token, past_key, past_value):
        q, k, v = self.qkv(self.embed(token)).chunk(3, 1)
        keys = torch.cat([past_key, k[:, None]], 1)
        values = torch.cat([past_value, v[:, None]], 1)
        weights = torch.softmax((keys @ q[:, :, None])[..., 0] / HIDDEN**0.5, 1)
        return self.output((weights[:, None] @ values)[:, 0]), keys, values


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(9)
        self.layers = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, CLASSES))
        self.eval()

    def forward(self, x):
        return self.layers(x)


def export(module, arguments, inputs, outputs, *, axes=None, dynamo=False):
    """Exports a module as people do.

    Args:
        axes: by tensor, names of axes that vary; of outputs they matter to the old exporter.
        dynamo: use the new one.
    """
    file = io.BytesIO()
    settings = {"input_names": inputs, "output_names": outputs, "dynamo": dynamo}
    if dynamo:
        shapes = [dict.fromkeys((axes or {}).get(n, ()), torch.export.Dim.DYNAMIC) for n in inputs]
        settings |= {"dynamic_shapes": tuple(shapes), "verbose": False}
    else:
        settings |= {"dynamic_axes": axes or {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            torch.onnx.export(module, tuple(arguments), file, **settings)
        finally:
            logging.disable(logging.NOTSET)
    return file.getvalue()


def lstm_axes(x="x", h="h", c="c", y="y", h_next="hn", c_next="cn"):
    states = {name: {1: "batch"} for name in (h, c, h_next, c_next)}
    return {x: {0: "batch", 1: "time"}, y: {0: "batch", 1: "time"}, **states}


def lstm_states(rows=2, layers=1):
    return [torch.randn(layers, rows, HIDDEN) for _ in "hc"]


def zero_states(rows, layers=1):
    return [torch.zeros(layers, rows, HIDDEN) for _ in "hc"]


@functools.cache
def lstm(*, dynamo=False, layers=1, names=("x", "h", "c", "y", "hn", "cn")):
    """nn.LSTM with a time axis, under any names."""
    arguments = [torch.randn(2, 3, FEATURES), *lstm_states(layers=layers)]
    module = LstmTagger(num_layers=layers, batch_first=True)
    axes = lstm_axes(*names)
    return export(module, arguments, list(names[:3]), list(names[3:]), axes=axes, dynamo=dynamo)


@functools.cache
def gru_time_first(layers=2):
    """nn.GRU as it comes: [T, N, F]."""
    arguments = [torch.randn(3, 2, FEATURES), torch.randn(layers, 2, HIDDEN)]
    axes = {"x": {0: "T", 1: "N"}, "y": {0: "T", 1: "N"}, "h0": {1: "N"}, "hn": {1: "N"}}
    return export(GruTagger(num_layers=layers), arguments, ["x", "h0"], ["y", "hn"], axes=axes)


@functools.cache
def gru_frozen_length():
    """The new exporter bakes the traced length into a second layer's reshape, unsaid."""
    arguments = [torch.randn(3, 2, FEATURES), torch.randn(2, 2, HIDDEN)]
    axes = {"x": {0: "T", 1: "N"}, "h0": {1: "N"}}
    module = GruTagger(num_layers=2)
    return export(module, arguments, ["x", "h0"], ["y", "hn"], axes=axes, dynamo=True)


@functools.cache
def bidirectional_tagger():
    """States that go in and come out, but read both ways."""
    arguments = [torch.randn(2, 3, FEATURES), *lstm_states(layers=2)]
    module = LstmTagger(batch_first=True, bidirectional=True)
    inputs, outputs = ["x", "h", "c"], ["y", "hn", "cn"]
    return export(module, arguments, inputs, outputs, axes=lstm_axes())


@functools.cache
def classifier(*, dynamo=False):
    axes = {"tokens": {0: "batch", 1: "seq"}, "logits": {0: "batch"}}
    tokens = torch.randint(0, WORDS, (2, 6))
    return export(Classifier(), [tokens], ["tokens"], ["logits"], axes=axes, dynamo=dynamo)


@functools.cache
def packed_classifier():
    axes = {"tokens": {0: "batch", 1: "seq"}, "lengths": {0: "batch"}, "logits": {0: "batch"}}
    arguments = [torch.randint(0, WORDS, (2, 6)), torch.tensor([6, 4])]
    module, names = PackedClassifier(), ["tokens", "lengths"]
    return export(module, arguments, names, ["logits"], axes=axes)


@functools.cache
def step_by_hand(names=("x", "a", "b", "out", "z", "y"), *, dynamo=False):
    arguments = [torch.randn(2, FEATURES), torch.randn(2, HIDDEN), torch.randn(2, HIDDEN)]
    axes = {name: {0: "batch"} for name in names}
    inputs, outputs = list(names[:3]), list(names[3:])
    return export(LstmByHand(), arguments, inputs, outputs, axes=axes, dynamo=dynamo)


@functools.cache
def loop_by_hand(names=("x", "a", "b", "out", "z", "y")):
    arguments = [torch.randn(2, 3, FEATURES), torch.randn(2, HIDDEN), torch.randn(2, HIDDEN)]
    axes = {name: {0: "batch"} for name in names}
    axes[names[0]] = axes[names[3]] = {0: "batch", 1: "time"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(LoopByHand())
    return export(scripted, arguments, list(names[:3]), list(names[3:]), axes=axes)


@functools.cache
def cached_attention(*, dynamo=False):
    arguments = [torch.tensor([1, 2]), *(torch.randn(2, 3, HIDDEN) for _ in "kv")]
    axes = {"token": {0: "N"}, "logits": {0: "N"}}
    axes |= {name: {0: "N", 1: "S"} for name in ("past_key", "past_value")}
    axes |= {name: {0: "N", 1: "S1"} for name in ("present_key", "present_value")}
    inputs, outputs = (
        ["token", "past_key", "past_value"],
        ["logits", "present_key", "present_value"],
    )
    return export(CachedAttention(), arguments, inputs, outputs, axes=axes, dynamo=dynamo)


@functools.cache
def perceptron(*, dynamo=False):
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    return export(Perceptron(), [torch.randn(2, FEATURES)], ["x"], ["y"], axes=axes, dynamo=dynamo)


@functools.cache
def fixed_batch_of_one():
    """What an exporter makes when nobody says that anything varies."""
    arguments = [torch.randn(1, 1, FEATURES), *lstm_states(rows=1)]
    module = LstmTagger(batch_first=True)
    return export(module, arguments, ["x", "h", "c"], ["y", "hn", "cn"])


@functools.cache
def quantized(folder):
    """A tagger whose matrices are of 8 bits; each batch is scaled as a whole."""
    from onnxruntime.quantization import quantize_dynamic

    (folder / "plain.onnx").write_bytes(lstm())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(folder / "plain.onnx", folder / "quantized.onnx")
        finally:
            logging.disable(logging.NOTSET)
    return (folder / "quantized.onnx").read_bytes()


def by_hand(nodes, inputs, outputs, weights=None):
    """A file out of nodes; inputs and outputs by name: element type and shape."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def lstm_with_lengths():
    """The operator itself, with sequence_lens; time first, as ONNX has it."""
    rng = np.random.default_rng(1)
    weights = {
        "W": rng.normal(size=(1, 4 * HIDDEN, FEATURES)).astype(np.float32),
        "R": 0.3 * rng.normal(size=(1, 4 * HIDDEN, HIDDEN)).astype(np.float32),
    }
    state = (FLOAT, [1, "N", HIDDEN])
    feeds = ["x", "W", "R", "", "valid", "start_a", "start_b"]
    return by_hand(
        [helper.make_node("LSTM", feeds, ["y", "end_a", "end_b"], hidden_size=HIDDEN)],
        {
            "x": (FLOAT, ["T", "N", FEATURES]),
            "valid": (TensorProto.INT32, ["N"]),
            "start_a": state,
            "start_b": state,
        },
        {"y": (FLOAT, ["T", 1, "N", HIDDEN]), "end_a": state, "end_b": state},
        weights,
    )


def lstm_by_any_name(names, *, swapped=False):
    """The operator itself; swapped, its states stand in the file the other way round."""
    rng = np.random.default_rng(1)
    weights = {
        "weights W": rng.normal(size=(1, 4 * HIDDEN, FEATURES)).astype(np.float32),
        "weights R": 0.3 * rng.normal(size=(1, 4 * HIDDEN, HIDDEN)).astype(np.float32),
    }
    x, h, c, *outputs = names
    states, kind = [h, c], (FLOAT, [1, "N", HIDDEN])
    given = [*outputs]
    if swapped:
        states, given = states[::-1], given[::-1]
    kinds = {outputs[0]: (FLOAT, ["T", 1, "N", HIDDEN])}
    feeds = [x, *weights, "", "", h, c]
    return by_hand(
        [helper.make_node("LSTM", feeds, outputs, hidden_size=HIDDEN)],
        {**dict.fromkeys(states, kind), x: (FLOAT, ["T", "N", FEATURES])},
        {name: kinds.get(name, kind) for name in given},
        weights,
    )


def lstm_behind_scales():
    """Where states are scaled before they are read, only running tells which is which."""
    rng = np.random.default_rng(4)
    weights = {
        "W": rng.normal(size=(1, 4 * HIDDEN, FEATURES)).astype(np.float32),
        "R": 0.3 * rng.normal(size=(1, 4 * HIDDEN, HIDDEN)).astype(np.float32),
        "one": np.array(1, np.float32),
    }
    state = (FLOAT, [1, "N", HIDDEN])
    return by_hand(
        [
            helper.make_node("Mul", ["a", "one"], ["h"]),
            helper.make_node("Mul", ["b", "one"], ["c"]),
            helper.make_node(
                "LSTM", ["x", "W", "R", "", "", "h", "c"], ["y", "t", "s"], hidden_size=HIDDEN
            ),
        ],
        {"x": (FLOAT, ["T", "N", FEATURES]), "a": state, "b": state},
        {"y": (FLOAT, ["T", 1, "N", HIDDEN]), "s": state, "t": state},
        weights,
    )


def ring_buffer(width=4):
    """A convolution that keeps the last inputs, and counts them; names say nothing."""
    rng = np.random.default_rng(2)
    weights = {
        "kernel": rng.normal(size=(3, FEATURES, width + 1)).astype(np.float32),
        "from": np.array([1]),
        "to": np.array([2**31 - 1]),
        "axis": np.array([2]),
        "one": np.array([1]),
    }
    kept = (FLOAT, ["rows", FEATURES, width])
    return by_hand(
        [
            helper.make_node("Unsqueeze", ["frame", "axis"], ["column"]),
            helper.make_node("Concat", ["p", "column"], ["window"], axis=2),
            helper.make_node("Conv", ["window", "kernel"], ["column_out"]),
            helper.make_node("Squeeze", ["column_out", "axis"], ["score"]),
            helper.make_node("Slice", ["window", "from", "to", "axis"], ["q"]),
            helper.make_node("Add", ["count_in", "one"], ["count_out"]),
        ],
        {
            "frame": (FLOAT, ["rows", FEATURES]),
            "count_in": (INT64, ["rows"]),
            "p": kept,
        },
        {"score": (FLOAT, ["rows", 3]), "count_out": (INT64, ["rows"]), "q": kept},
        weights,
    )


def keras_like():
    """Names as a converter from Keras leaves them."""
    names = ("input_1:0", "state_h_in:0", "state_c_in:0", "dense/out:0", "lstm:2", "lstm:1")
    return lstm(names=names)


def mixes_rows():
    """Normalised over the batch: a row is nothing without the others."""
    return by_hand(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        {"x": (FLOAT, ["n", 3])},
        {"y": (FLOAT, ["n", 3])},
    )


def baked_start():
    """A start of one row as a constant: the file says rows vary, and they do not."""
    rng = np.random.default_rng(3)
    weights = {
        "W": rng.normal(size=(1, 3 * HIDDEN, FEATURES)).astype(np.float32),
        "R": 0.3 * rng.normal(size=(1, 3 * HIDDEN, HIDDEN)).astype(np.float32),
        "start": np.zeros((1, 1, HIDDEN), np.float32),
    }
    return by_hand(
        [
            helper.make_node(
                "GRU", ["x", "W", "R", "", "", "start"], ["", "h"], hidden_size=HIDDEN
            ),
            helper.make_node("Identity", ["h"], ["last"]),
        ],
        {"x": (FLOAT, ["time", "batch", FEATURES])},
        {"last": (FLOAT, [1, "batch", HIDDEN])},
        weights,
    )


def scaled_by_length():
    """An input that is called lengths, and is a factor."""
    return by_hand(
        [
            helper.make_node("Cast", ["lengths"], ["factor"], to=FLOAT),
            helper.make_node("Unsqueeze", ["factor", "axis"], ["column"]),
            helper.make_node("CumSum", ["x", "one"], ["sums"], reverse=1),
            helper.make_node("Mul", ["sums", "column"], ["y"]),
        ],
        {"x": (FLOAT, ["N", "T"]), "lengths": (INT64, ["N"])},
        {"y": (FLOAT, ["N", "T"])},
        {"axis": np.array([1]), "one": np.array(1)},
    )


def takes_a_sequence():
    """An input that is a list of tensors."""
    tensor = helper.make_tensor_type_proto(FLOAT, [2])
    x = helper.make_value_info("x", helper.make_sequence_type_proto(tensor))
    y = helper.make_tensor_value_info("y", FLOAT, [None])
    node = helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)
    graph = helper.make_graph([node], "graph", [x], [y])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def names_rows_by_number():
    """Each row looks at another one, whose number is an input."""
    return by_hand(
        [helper.make_node("Gather", ["x", "of"], ["y"], axis=0)],
        {"x": (FLOAT, ["n", 3]), "of": (INT64, ["n"])},
        {"y": (FLOAT, ["n", 3])},
    )


def divides_by_rows():
    """Each row is divided by how many rows there are."""
    return by_hand(
        [
            helper.make_node("Shape", ["x"], ["rows"], start=0, end=1),
            helper.make_node("Cast", ["rows"], ["count"], to=FLOAT),
            helper.make_node("Div", ["x", "count"], ["y"]),
        ],
        {"x": (FLOAT, ["n", 3])},
        {"y": (FLOAT, ["n", 3])},
    )


def resets_itself():
    """A sum that begins anew where `start` says so: Triton's users build their resets in."""
    return by_hand(
        [
            helper.make_node("Sub", ["one", "start"], ["goes_on"]),
            helper.make_node("Mul", ["total", "goes_on"], ["kept"]),
            helper.make_node("Add", ["kept", "x"], ["sum"]),
            helper.make_node("Mul", ["sum", "ready"], ["total_out"]),
            helper.make_node("Identity", ["total_out"], ["y"]),
        ],
        {name: (FLOAT, ["n", 1]) for name in ("x", "start", "ready", "total")},
        {name: (FLOAT, ["n", 1]) for name in ("y", "total_out")},
        {"one": np.array(1, np.float32)},
    )
