"""Tiny word vectors whose every number is known: as NumPy, as an ONNX graph, and as a bundle.

A queen is a king who is a woman: the first value says how royal a word is, the second how male.
"""

import numpy as np
import tokenizers
from onnx import TensorProto, helper

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Graph, Limits, Subwords, Tensor, Tokenizer
from stepwire_zoo.subwords import parts_of
from support.tiny import make_manifest, onnx_file

VECTORS = {
    "<unk>": (0.0, 0.0, 0.0),
    "king": (2.0, 1.0, 0.1),
    "queen": (2.0, -1.0, 0.1),
    "man": (0.0, 1.0, 0.2),
    "woman": (0.0, -1.0, 0.2),
    "prince": (1.0, 1.0, -0.1),
    "서울": (0.1, 0.1, 3.0),
    "paris": (0.3, -0.1, 2.0),
}
PARTS = {
    "<ki": (1.0, 0.5, 0.0),
    "ing": (0.5, 0.5, -1.0),
    "서울": (0.0, 0.2, 1.0),
    "an>": (-1.0, 0.0, 0.5),
}
WORDS = tuple(VECTORS)
TABLE = np.array([*VECTORS.values(), *PARTS.values()], np.float32)  # [V + G, E]
SHORTEST, LONGEST = 2, 4
BUCKETS = (1, 4)
MOST_WORDS = 6  # of a text


def rows_of(word):
    """The rows of the table that a word is the mean of."""
    if word.lower() in WORDS[1:]:
        return [WORDS.index(word.lower())]
    cut = parts_of(word.lower(), SHORTEST, LONGEST)
    return [len(WORDS) + list(PARTS).index(part) for part in cut if part in PARTS]


def vector_of(word):
    """The vector of a word, [E]; None if it has none."""
    rows = rows_of(word)
    return TABLE[rows].mean(axis=0) if rows else None


def unit(vector):
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)


def cosines_of(word):
    """With every word that is known, [V]."""
    return unit(TABLE[: len(WORDS)]) @ unit(vector_of(word))


def graph():
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),  # [N, T, E]
        helper.make_node("Shape", ["tokens"], ["width"], start=1, end=2),
        helper.make_node("Squeeze", ["width"], ["end"]),
        helper.make_node("Range", ["zero", "end", "one"], ["places"]),
        helper.make_node("Unsqueeze", ["lengths", "axis"], ["ends"]),
        helper.make_node("Less", ["places", "ends"], ["inside"]),
        helper.make_node("Cast", ["inside"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "axis"], ["ones"]),
        helper.make_node("MatMul", ["ones", "rows"], ["total"]),
        helper.make_node("Squeeze", ["total", "axis"], ["sum"]),
        helper.make_node("Cast", ["ends"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["sum", "count"], ["vector"]),
        helper.make_node("ReduceL2", ["vector", "axis"], ["length"]),
        helper.make_node("Max", ["length", "least"], ["divisor"]),
        helper.make_node("Div", ["vector", "divisor"], ["unit"]),
        helper.make_node("MatMul", ["unit", "words"], ["cosines"]),
    ]
    weights = {
        "table": TABLE,
        "words": unit(TABLE[: len(WORDS)]).T,
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "axis": np.array([1], np.int64),
        "least": np.array(1e-12, np.float32),
    }
    inputs = {"tokens": (TensorProto.INT64, ["N", "T"]), "lengths": (TensorProto.INT64, ["N"])}
    outputs = {
        "vector": (TensorProto.FLOAT, ["N", TABLE.shape[1]]),
        "cosines": (TensorProto.FLOAT, ["N", len(WORDS)]),
    }
    return onnx_file(nodes, weights, inputs, outputs)


def embedding_manifest(name="vectors", *, parts=True, **changes):
    subwords = Subwords(
        tokenizer=Tokenizer(file="subwords.json", vocabulary_size=len(PARTS)),
        shortest=SHORTEST,
        longest=LONGEST,
    )
    return make_manifest(
        **{
            "name": name,
            "task": "embedding",
            "graphs": {
                "sequence": Graph(
                    file="sequence.onnx",
                    inputs=(
                        Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
                        Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
                    ),
                    outputs=(
                        Tensor(
                            name="vector", dtype="float32", shape=(TABLE.shape[1],), role="vector"
                        ),
                        Tensor(
                            name="cosines", dtype="float32", shape=(len(WORDS),), role="cosines"
                        ),
                    ),
                    buckets=BUCKETS,
                )
            },
            "tokenizer": Tokenizer(file="tokenizer.json", vocabulary_size=len(WORDS), unknown=0),
            "limits": Limits(max_input_tokens=MOST_WORDS),
            "subwords": subwords if parts else None,
            **changes,
        }
    )


def write_vectors(repository, name="vectors", manifest=None, *, parts=True):
    """Publishes tiny word vectors; returns their folder."""
    tokens = np.array([[1, 0], [6, 0], [8, 9]])
    lengths = np.array([1, 1, 2])
    cut = zip(tokens, lengths, strict=True)
    vectors = np.stack([TABLE[row[:length]].mean(axis=0) for row, length in cut])
    case = GoldenCase(
        {"tokens": tokens, "lengths": lengths},
        {"vector": vectors, "cosines": unit(vectors) @ unit(TABLE[: len(WORDS)]).T},
    )
    folder = repository / name / "1"
    files = {
        "sequence.onnx": graph(),
        "tokenizer.json": word_tokenizer(),
        "golden.npz": pack({"sequence": case}),
    }
    if parts:
        files["subwords.json"] = part_tokenizer()
    write_bundle(folder, manifest or embedding_manifest(name, parts=parts), files)
    return folder


def word_tokenizer():
    """Words in lower case; what is neither letter nor digit stands alone."""
    model = tokenizers.models.WordLevel(_numbered(WORDS), unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = _lower_case()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.WhitespaceSplit(),
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[^\w\s]"), "isolated"),
        ]
    )
    return tokenizer.to_str().encode()


def part_tokenizer():
    """One token for each of PARTS."""
    model = tokenizers.models.WordLevel(_numbered(PARTS), unk_token=next(iter(PARTS)))
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = _lower_case()
    return tokenizer.to_str().encode()


def _lower_case():
    return tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.NFC(), tokenizers.normalizers.Lowercase()]
    )


def _numbered(items):
    return {item: number for number, item in enumerate(items)}
