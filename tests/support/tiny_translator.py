"""A tiny translator whose every number is known: as NumPy, as ONNX graphs, as a bundle."""

import numpy as np
import tokenizers
from onnx import TensorProto, helper

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Graph, Limits, Manifest, State, Tensor, Tokenizer
from support.tiny import CHARACTERS, HIDDEN, UNKNOWN, make_manifest, onnx_file

BEGIN, END = UNKNOWN + 1, UNKNOWN + 2
VOCABULARY = END + 1
ENCODE_BUCKETS = (4, 8, 16, 64)
STEP_BUCKETS = (8, 64)
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


class TinyTranslator:
    """memory = source[tokens]; h0 = tanh(memory of the last token); looks with h, then steps.

    context = softmax(h . memory) memory; h' = tanh(x W + h R + context); logits = h' U + context L.
    """

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.source = rng.normal(size=(VOCABULARY, HIDDEN)).astype(np.float32)
        self.embed = rng.normal(size=(VOCABULARY, HIDDEN)).astype(np.float32)
        self.recur = rng.normal(size=(HIDDEN, HIDDEN)).astype(np.float32)
        self.output = rng.normal(size=(HIDDEN, VOCABULARY)).astype(np.float32)
        self.look = rng.normal(size=(HIDDEN, VOCABULARY)).astype(np.float32)
        # Long sentences make long tests.
        self.output[:, END] += 0.5

    def read(self, tokens):
        """One source to its memory [S, H] and its start [H]."""
        memory = self.source[tokens]
        return memory, np.tanh(memory[-1])

    def step(self, token, h, memory):
        """One step of one row: the next logits [V], h [H], attention [S]."""
        scores = np.exp(memory @ h - (memory @ h).max())
        attention = scores / scores.sum()
        context = attention @ memory
        h = np.tanh(self.embed[token] + h @ self.recur + context)
        return h @ self.output + context @ self.look, h, attention

    def encode_graph(self):
        nodes = [
            helper.make_node("Gather", ["source", "tokens"], ["x"]),
            helper.make_node("Shape", ["tokens"], ["t"], start=1),
            helper.make_node("Squeeze", ["t"], ["limit"]),
            helper.make_node("Range", ["zero", "limit", "one"], ["positions"]),
            helper.make_node("Unsqueeze", ["lengths", "last"], ["column"]),
            helper.make_node("Less", ["positions", "column"], ["inside"]),
            helper.make_node("Unsqueeze", ["inside", "last"], ["mask"]),
            helper.make_node("Where", ["mask", "x", "nothing"], ["memory"]),
            helper.make_node("Sub", ["column", "one"], ["ends"]),
            helper.make_node("Equal", ["positions", "ends"], ["at_end"]),
            helper.make_node("Cast", ["at_end"], ["chosen"], to=FLOAT),
            helper.make_node("Unsqueeze", ["chosen", "middle"], ["choice"]),
            helper.make_node("MatMul", ["choice", "memory"], ["end"]),
            helper.make_node("Squeeze", ["end", "middle"], ["flat"]),
            helper.make_node("Tanh", ["flat"], ["h_start"]),
        ]
        weights = {
            "source": self.source,
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
            "last": np.array([-1], np.int64),
            "middle": np.array([1], np.int64),
            "nothing": np.array(0, np.float32),
        }
        return onnx_file(
            nodes,
            weights,
            {"tokens": (INT, ["N", "T"]), "lengths": (INT, ["N"])},
            {"memory": (FLOAT, ["N", "T", HIDDEN]), "h_start": (FLOAT, ["N", HIDDEN])},
        )

    def step_graph(self):
        nodes = [
            helper.make_node("Gather", ["h", "rows"], ["queries"]),  # [J, K, H]
            helper.make_node("Transpose", ["memory"], ["keys"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["queries", "keys"], ["scores"]),  # [J, K, S]
            helper.make_node("Shape", ["memory"], ["s"], start=1, end=2),
            helper.make_node("Squeeze", ["s"], ["limit"]),
            helper.make_node("Range", ["zero", "limit", "one"], ["positions"]),
            helper.make_node("Unsqueeze", ["lengths", "axes"], ["column"]),  # [J, 1, 1]
            helper.make_node("Less", ["positions", "column"], ["inside"]),
            helper.make_node("Where", ["inside", "scores", "never"], ["masked"]),
            helper.make_node("Softmax", ["masked"], ["weights"], axis=-1),
            helper.make_node("MatMul", ["weights", "memory"], ["contexts"]),  # [J, K, H]
            helper.make_node("Reshape", ["contexts", "by_row"], ["flat"]),
            helper.make_node("Gather", ["flat", "places"], ["context"]),  # [N, H]
            helper.make_node("Concat", ["many", "s"], ["shape"], axis=0),
            helper.make_node("Reshape", ["weights", "shape"], ["all_weights"]),
            helper.make_node("Gather", ["all_weights", "places"], ["attention"]),  # [N, S]
            helper.make_node("Gather", ["embed", "token"], ["x"]),
            helper.make_node("MatMul", ["h", "recur"], ["r"]),
            helper.make_node("Add", ["x", "r"], ["xr"]),
            helper.make_node("Add", ["xr", "context"], ["sum"]),
            helper.make_node("Tanh", ["sum"], ["h_next"]),
            helper.make_node("MatMul", ["h_next", "output"], ["from_h"]),
            helper.make_node("MatMul", ["context", "look"], ["from_context"]),
            helper.make_node("Add", ["from_h", "from_context"], ["logits"]),
        ]
        weights = {
            "embed": self.embed,
            "recur": self.recur,
            "output": self.output,
            "look": self.look,
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
            "axes": np.array([1, 2], np.int64),
            "never": np.array(-1e9, np.float32),
            "by_row": np.array([-1, HIDDEN], np.int64),
            "many": np.array([-1], np.int64),
        }
        return onnx_file(
            nodes,
            weights,
            {
                "token": (INT, ["N"]),
                "rows": (INT, ["J", "K"]),
                "places": (INT, ["N"]),
                "lengths": (INT, ["J"]),
                "memory": (FLOAT, ["J", "S", HIDDEN]),
                "h": (FLOAT, ["N", HIDDEN]),
            },
            {
                "logits": (FLOAT, ["N", VOCABULARY]),
                "attention": (FLOAT, ["N", "S"]),
                "h_next": (FLOAT, ["N", HIDDEN]),
            },
        )


def tokenizer():
    """One token for each of CHARACTERS, one for all others, and the two special ones."""
    vocabulary = {character: index for index, character in enumerate(CHARACTERS)}
    vocabulary |= {"<unk>": UNKNOWN, "<s>": BEGIN, "</s>": END}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    made.decoder = tokenizers.decoders.Fuse()
    return made.to_str().encode()


def translation_manifest(name="tiny-translator", **fields) -> Manifest:
    return make_manifest(
        **{
            "name": name,
            "task": "translation",
            "graphs": {
                "encode": Graph(
                    file="encode.onnx",
                    inputs=(
                        Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
                        Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
                    ),
                    outputs=(
                        Tensor(name="memory", dtype="float32", shape=(-1, HIDDEN), role="context"),
                        Tensor(name="h_start", dtype="float32", shape=(HIDDEN,), role="start"),
                    ),
                    buckets=ENCODE_BUCKETS,
                ),
                "step": Graph(
                    file="step.onnx",
                    inputs=(
                        Tensor(name="token", dtype="int64", shape=(), role="token"),
                        Tensor(name="rows", dtype="int64", shape=(-1,), role="rows"),
                        Tensor(name="places", dtype="int64", shape=(), role="places"),
                        Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
                        Tensor(name="memory", dtype="float32", shape=(-1, HIDDEN), role="context"),
                    ),
                    outputs=(
                        Tensor(name="logits", dtype="float32", shape=(VOCABULARY,), role="logits"),
                        Tensor(name="attention", dtype="float32", shape=(-1,), role="attention"),
                    ),
                    states=(
                        State(
                            input="h",
                            output="h_next",
                            dtype="float32",
                            shape=(HIDDEN,),
                            start="h_start",
                        ),
                    ),
                    buckets=STEP_BUCKETS,
                ),
            },
            "tokenizer": Tokenizer(
                file="tokenizer.json",
                vocabulary_size=VOCABULARY,
                begin=BEGIN,
                end=END,
                unknown=UNKNOWN,
                suppressed=(UNKNOWN, BEGIN),
            ),
            "limits": Limits(max_input_tokens=64, max_new_tokens=32),
            **fields,
        }
    )


def write_translation(repository, *, model=None, manifest=None, **fields):
    """Publishes a tiny translator; returns its folder."""
    model = model or TinyTranslator()
    manifest = manifest or translation_manifest(**fields)
    rng = np.random.default_rng(3)
    lengths = np.array([2, 5, 8])
    tokens = np.zeros((3, 8), np.int64)
    sources = [rng.integers(0, UNKNOWN, length) for length in lengths]
    memory, starts = np.zeros((3, 8, HIDDEN), np.float32), []
    for row, source in enumerate(sources):
        tokens[row, : len(source)] = source
        memory[row, : len(source)], start = model.read(source)
        starts.append(start)
    given = rng.integers(0, UNKNOWN, (3, 4))
    logits = np.zeros((3, 4, VOCABULARY), np.float32)
    for row, source in enumerate(sources):
        looked, h = model.read(source)
        for step in range(4):
            logits[row, step], h, _ = model.step(given[row, step], h, looked)
    cases = {
        "encode": GoldenCase(
            {"tokens": tokens, "lengths": lengths}, {"memory": memory, "h_start": np.stack(starts)}
        ),
        "step": GoldenCase({"token": given}, {"logits": logits}),
    }
    folder = repository / manifest.name / manifest.version
    files = {
        "encode.onnx": model.encode_graph(),
        "step.onnx": model.step_graph(),
        "tokenizer.json": tokenizer(),
        "golden.npz": pack(cases),
    }
    write_bundle(folder, manifest, files)
    return folder
