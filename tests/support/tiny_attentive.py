"""A tiny classifier with attention whose every number is known: NumPy, an ONNX graph, a bundle.

A text's logits are the mean of what its words say, by weights: a softmax over what each word
is worth. Words are those of the tiny tagger.
"""

import numpy as np
from onnx import TensorProto, helper

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Graph, Limits, Tensor, Tokenizer
from support.tiny import make_manifest, onnx_file
from support.tiny_tagger import WORDS, word_tokenizer

LABELS = ("negative", "positive")
BUCKETS = (4, 8, 16)
INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT


class TinyAttentive:
    """Weighs words, and judges by their mean."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.worth = rng.normal(size=len(WORDS)).astype(np.float32)
        self.says = rng.normal(size=(len(WORDS), len(LABELS))).astype(np.float32)

    def run(self, tokens, lengths):
        """Tokens [N, T] and lengths [N] to logits [N, L] and weights [N, T]."""
        inside = np.arange(tokens.shape[1]) < lengths[:, None]
        shares = np.where(inside, np.exp(self.worth[tokens]), 0)
        weights = shares / shares.sum(axis=1, keepdims=True)
        return np.einsum("nt,ntl->nl", weights, self.says[tokens]), weights

    def weights(self, words):
        """What each word of a text weighs."""
        tokens = np.array([[WORDS.index(word) if word in WORDS else 0 for word in words]])
        return self.run(tokens, np.array([len(words)]))[1][0]

    def graph(self):
        nodes = [
            helper.make_node("Gather", ["worth", "tokens"], ["all_scores"]),
            helper.make_node("Gather", ["says", "tokens"], ["x"]),
            helper.make_node("Shape", ["tokens"], ["t"], start=1),
            helper.make_node("Squeeze", ["t"], ["limit"]),
            helper.make_node("Range", ["zero", "limit", "one"], ["positions"]),
            helper.make_node("Unsqueeze", ["lengths", "axis"], ["column"]),
            helper.make_node("Less", ["positions", "column"], ["inside"]),
            helper.make_node("Where", ["inside", "all_scores", "never"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["attention"], axis=1),
            helper.make_node("Unsqueeze", ["attention", "axis"], ["row"]),
            helper.make_node("MatMul", ["row", "x"], ["found"]),
            helper.make_node("Squeeze", ["found", "axis"], ["logits"]),
        ]
        weights = {
            "worth": self.worth,
            "says": self.says,
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
            "axis": np.array([1], np.int64),
            "never": np.array(-1e9, np.float32),
        }
        inputs = {"tokens": (INT64, ["N", "T"]), "lengths": (INT64, ["N"])}
        outputs = {"logits": (FLOAT, ["N", len(LABELS)]), "attention": (FLOAT, ["N", "T"])}
        return onnx_file(nodes, weights, inputs, outputs)


def attentive_manifest(name="looker"):
    return make_manifest(
        name=name,
        task="classification",
        labels=LABELS,
        graphs={
            "sequence": Graph(
                file="sequence.onnx",
                inputs=(
                    Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
                    Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
                ),
                outputs=(
                    Tensor(name="logits", dtype="float32", shape=(2,), role="logits"),
                    Tensor(name="attention", dtype="float32", shape=(-1,), role="attention"),
                ),
                buckets=BUCKETS,
            )
        },
        tokenizer=Tokenizer(file="tokenizer.json", vocabulary_size=len(WORDS), unknown=0),
        limits=Limits(max_input_tokens=BUCKETS[-1]),
    )


def write_attentive(repository, name="looker", change=lambda outputs: outputs):
    """Publishes a tiny classifier with attention; returns its folder.

    Args:
        repository: where.
        name: of the bundle.
        change: makes of the outputs of the golden case those that are published.
    """
    looker = TinyAttentive()
    tokens = np.random.default_rng(2).integers(0, len(WORDS), size=(3, BUCKETS[-1]))
    lengths = np.array([3, 7, 16])
    logits, weights = looker.run(tokens, lengths)
    outputs = {"logits": logits, "attention": weights.astype(np.float32)}
    case = GoldenCase({"tokens": tokens, "lengths": lengths}, change(outputs))
    folder = repository / name / "1"
    files = {
        "sequence.onnx": looker.graph(),
        "tokenizer.json": word_tokenizer(),
        "golden.npz": pack({"sequence": case}),
    }
    write_bundle(folder, attentive_manifest(name), files)
    return folder
