"""Tiny models whose every number is known: as NumPy, as ONNX graphs, and as bundles.

Their weights are random, fixed by a seed. The NumPy form is the obvious, slow reference.
"""

import json

import numpy as np
import tokenizers
from onnx import TensorProto, helper, numpy_helper

from stepwire_server.engine.batch import Stepped
from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import (
    Dataset,
    Golden,
    Graph,
    Limits,
    Manifest,
    Metric,
    Provenance,
    State,
    Tensor,
    Tokenizer,
)

CHARACTERS = "\n abcdefghijklmnopqrstuvwxyz"
UNKNOWN = len(CHARACTERS)
VOCABULARY = len(CHARACTERS) + 1
HIDDEN = 8
BUCKETS = (4, 8, 16)


class TinyCell:
    """h' = tanh(x W + h R), c' = 0.9 c + h'; logits = c' U. Two states, to catch a swap."""

    def __init__(self, seed=0, vocabulary=VOCABULARY, scale=1.0):
        rng = np.random.default_rng(seed)
        self.embed = rng.normal(size=(vocabulary, HIDDEN)).astype(np.float32)
        self.recur = rng.normal(size=(HIDDEN, HIDDEN)).astype(np.float32)
        self.output = (scale * rng.normal(size=(HIDDEN, vocabulary))).astype(np.float32)
        self.start = {name: np.zeros(HIDDEN, np.float32) for name in ("h", "c")}
        self.batch_sizes = []

    blank = np.array(0)

    def step(self, tokens, states, view=None, wanted=frozenset()):
        """What the engine calls."""
        self.batch_sizes.append(len(tokens))
        logits, following = self.compute(tokens, states)
        return Stepped(logits, following, {"logits": logits})

    def compute(self, tokens, states):
        # einsum and not @: BLAS chooses its kernel, and so its rounding, by batch size.
        recurred = np.einsum("nh,hk->nk", states["h"], self.recur)
        h = np.tanh(self.embed[tokens] + recurred)
        c = np.float32(0.9) * states["c"] + h
        return np.einsum("nh,hv->nv", c, self.output), {"h": h, "c": c}

    def graph(self):
        nodes = [
            helper.make_node("Gather", ["embed", "token"], ["x"]),
            helper.make_node("MatMul", ["h", "recur"], ["r"]),
            helper.make_node("Add", ["x", "r"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["h_next"]),
            helper.make_node("Mul", ["c", "decay"], ["kept"]),
            helper.make_node("Add", ["kept", "h_next"], ["c_next"]),
            helper.make_node("MatMul", ["c_next", "output"], ["logits"]),
        ]
        weights = {"embed": self.embed, "recur": self.recur, "output": self.output}
        weights["decay"] = np.array(0.9, np.float32)
        state = {name: ["N", HIDDEN] for name in ("h", "c", "h_next", "c_next")}
        return onnx_file(
            nodes,
            weights,
            {"token": (TensorProto.INT64, ["N"]), **_floats(state, "h", "c")},
            {
                **_floats({"logits": ["N", self.output.shape[1]]}, "logits"),
                **_floats(state, "h_next", "c_next"),
            },
        )

    def run(self, tokens):
        """[N, T] tokens to [N, T, V] logits."""
        states = {name: np.repeat(s[None], len(tokens), 0) for name, s in self.start.items()}
        logits = []
        for step in range(tokens.shape[1]):
            out, states = self.compute(tokens[:, step], states)
            logits.append(out)
        return np.stack(logits, axis=1)


class TinyJudge:
    """logits = mean over the text of embed[token]; two labels."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.embed = rng.normal(size=(VOCABULARY, 2)).astype(np.float32)

    def run(self, tokens, lengths):
        inside = np.arange(tokens.shape[1]) < lengths[:, None]
        total = np.where(inside[..., None], self.embed[tokens], 0).sum(axis=1)
        return (total / lengths[:, None]).astype(np.float32)

    def graph(self):
        nodes = [
            helper.make_node("Gather", ["embed", "tokens"], ["x"]),
            helper.make_node("Shape", ["tokens"], ["t"], start=1),
            helper.make_node("Squeeze", ["t"], ["limit"]),
            helper.make_node("Range", ["zero", "limit", "one"], ["positions"]),
            helper.make_node("Unsqueeze", ["lengths", "last"], ["column"]),
            helper.make_node("Less", ["positions", "column"], ["inside"]),
            helper.make_node("Cast", ["inside"], ["ones"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["ones", "middle"], ["mask"]),
            # Not ReduceSum: ONNX Runtime adds up in another order for a batch of one.
            helper.make_node("MatMul", ["mask", "x"], ["sums"]),
            helper.make_node("Squeeze", ["sums", "middle"], ["total"]),
            helper.make_node("Cast", ["column"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["total", "count"], ["logits"]),
        ]
        weights = {
            "embed": self.embed,
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
            "last": np.array([-1], np.int64),
            "middle": np.array([1], np.int64),
        }
        inputs = {"tokens": (TensorProto.INT64, ["N", "T"]), "lengths": (TensorProto.INT64, ["N"])}
        return onnx_file(nodes, weights, inputs, _floats({"logits": ["N", 2]}, "logits"))


def _floats(shapes, *names):
    return {name: (TensorProto.FLOAT, shapes[name]) for name in names}


def onnx_file(nodes, weights, inputs, outputs):
    """Serialises a graph."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return model.SerializeToString()


def character_tokenizer():
    """One token for each of CHARACTERS, and one for all others."""
    vocabulary = {character: index for index, character in enumerate(CHARACTERS)}
    model = tokenizers.models.WordLevel({**vocabulary, "<unk>": UNKNOWN}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(
        tokenizers.Regex(r"[\s\S]"), "isolated"
    )
    tokenizer.decoder = tokenizers.decoders.Fuse()
    return tokenizer.to_str().encode()


def make_manifest(**fields):
    return Manifest(
        format=1,
        version="1",
        summary="A tiny model for tests.",
        licence="Apache-2.0",
        languages=("en",),
        golden=Golden(file="golden.npz"),
        metrics=(
            Metric(name="loss", value=1.0, unit="nats/character", split="none", runs=(1.0, 1.1)),
        ),
        provenance=Provenance(
            recipe="none",
            command="none",
            commit="none",
            seed=0,
            parameters=1,
            training_seconds=0.0,
            machine="none",
            data=(Dataset(name="random", licence="CC0-1.0", home="none"),),
        ),
        **fields,
    )


def generation_manifest(name="tiny", *, begin=0, end=None, max_new_tokens=4096):
    return make_manifest(
        name=name,
        task="generation",
        graphs={
            "step": Graph(
                file="step.onnx",
                inputs=(Tensor(name="token", dtype="int64", shape=(), role="token"),),
                outputs=(
                    Tensor(name="logits", dtype="float32", shape=(VOCABULARY,), role="logits"),
                ),
                states=(
                    State(input="h", output="h_next", dtype="float32", shape=(HIDDEN,)),
                    State(input="c", output="c_next", dtype="float32", shape=(HIDDEN,)),
                ),
            )
        },
        tokenizer=Tokenizer(
            file="tokenizer.json",
            vocabulary_size=VOCABULARY,
            begin=begin,
            end=end,
            unknown=UNKNOWN,
            accepts_unknown=False,
            suppressed=(UNKNOWN,),
        ),
        limits=Limits(max_input_tokens=512, max_new_tokens=max_new_tokens),
    )


def write_generation(repository, name="tiny", *, cell=None, manifest=None, **fields):
    """Publishes a tiny generator; returns its folder."""
    cell = cell or TinyCell()
    manifest = manifest or generation_manifest(name, **fields)
    tokens = np.random.default_rng(1).integers(0, VOCABULARY, size=(2, 5))
    case = GoldenCase({"token": tokens}, {"logits": cell.run(tokens)})
    folder = repository / manifest.name / manifest.version
    files = {
        "step.onnx": cell.graph(),
        "tokenizer.json": character_tokenizer(),
        "golden.npz": pack({"step": case}),
    }
    write_bundle(folder, manifest, files)
    return folder


def write_classification(repository, name="judge"):
    """Publishes a tiny classifier; returns its folder."""
    judge = TinyJudge()
    manifest = make_manifest(
        name=name,
        task="classification",
        labels=("negative", "positive"),
        graphs={
            "sequence": Graph(
                file="sequence.onnx",
                inputs=(
                    Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
                    Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
                ),
                outputs=(Tensor(name="logits", dtype="float32", shape=(2,), role="logits"),),
                buckets=BUCKETS,
            )
        },
        tokenizer=Tokenizer(file="tokenizer.json", vocabulary_size=VOCABULARY, unknown=UNKNOWN),
        limits=Limits(max_input_tokens=BUCKETS[-1]),
    )
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, size=(3, BUCKETS[-1]))
    lengths = np.array([3, 7, 16])
    case = GoldenCase(
        {"tokens": tokens, "lengths": lengths}, {"logits": judge.run(tokens, lengths)}
    )
    folder = repository / name / "1"
    files = {
        "sequence.onnx": judge.graph(),
        "tokenizer.json": character_tokenizer(),
        "golden.npz": pack({"sequence": case}),
    }
    write_bundle(folder, manifest, files)
    return folder


def edit_manifest(folder, edit):
    """Changes a published manifest in place, as an attacker or a bad tool would."""
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))
