"""A tiny tagger whose every number is known: as NumPy, as an ONNX graph, and as a bundle.

A word's logits are what its number says, the most that one of its characters says, and half of
what the number of the word before it says.
"""

import numpy as np
import tokenizers
from onnx import TensorProto, helper

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Graph, Limits, Tensor, Tokenizer
from stepwire_zoo.spelling import spelled
from support.tiny import make_manifest, onnx_file

WORDS = ("<unk>", "the", "dog", "barks", ".", "서울", "0")
LETTERS = ("<pad>", *"abcdefghijklmnopqrstuvwxyz.서울", "<unk>")
LABELS = ("NOUN", "PUNCT", "VERB")
WIDTH = 6  # characters that are read of a word
BUCKETS = (4, 8, 16)
INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT


class TinyTagger:
    """Scores words by their numbers, their characters and the word before."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.of_word = rng.normal(size=(len(WORDS), len(LABELS))).astype(np.float32)
        self.of_letter = rng.normal(size=(len(LETTERS), len(LABELS))).astype(np.float32)

    def run(self, tokens, characters):
        """Tokens [N, T] and characters [N, T, C] to logits [N, T, L]."""
        words = self.of_word[tokens]
        before = np.zeros_like(words)
        before[:, 1:] = words[:, :-1]
        return words + self.of_letter[characters].max(axis=2) + np.float32(0.5) * before

    def logits(self, words):
        """Those of the words of a sentence, [T, L]."""
        numbers = [WORDS.index(word.lower()) if word.lower() in WORDS else 0 for word in words]
        letters = [
            [LETTERS.index(each) if each in LETTERS else len(LETTERS) - 1 for each in word]
            for word in words
        ]
        return self.run(np.array([numbers]), spelled(letters, WIDTH)[None])[0]

    def tags(self, words):
        """The probabilities of every tag of every word, [T, L]."""
        logits = self.logits(words).astype(float)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def graph(self):
        nodes = [
            helper.make_node("Gather", ["of_word", "tokens"], ["words"]),
            helper.make_node("Gather", ["of_letter", "characters"], ["letters"]),
            helper.make_node("ReduceMax", ["letters", "two"], ["most"], keepdims=0),
            helper.make_node("Pad", ["words", "one_before"], ["longer"]),
            helper.make_node("Slice", ["longer", "zero", "last", "one"], ["before"]),
            helper.make_node("Mul", ["before", "half"], ["halved"]),
            helper.make_node("Add", ["words", "most"], ["own"]),
            helper.make_node("Add", ["own", "halved"], ["logits"]),
        ]
        weights = {
            "of_word": self.of_word,
            "of_letter": self.of_letter,
            "half": np.array(0.5, np.float32),
            "zero": np.array([0], np.int64),
            "one": np.array([1], np.int64),
            "two": np.array([2], np.int64),
            "last": np.array([-1], np.int64),
            "one_before": np.array([0, 1, 0, 0, 0, 0], np.int64),
        }
        inputs = {
            "tokens": (INT64, ["N", "T"]),
            "characters": (INT64, ["N", "T", WIDTH]),
            "lengths": (INT64, ["N"]),
        }
        return onnx_file(nodes, weights, inputs, {"logits": (FLOAT, ["N", "T", len(LABELS)])})


def tagging_manifest(name="tagger"):
    return make_manifest(
        name=name,
        task="tagging",
        labels=LABELS,
        graphs={
            "sequence": Graph(
                file="sequence.onnx",
                inputs=(
                    Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
                    Tensor(name="characters", dtype="int64", shape=(-1, WIDTH), role="characters"),
                    Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
                ),
                outputs=(
                    Tensor(name="logits", dtype="float32", shape=(-1, len(LABELS)), role="logits"),
                ),
                buckets=BUCKETS,
            )
        },
        tokenizer=Tokenizer(file="tokenizer.json", vocabulary_size=len(WORDS), unknown=0),
        characters=Tokenizer(
            file="characters.json",
            vocabulary_size=len(LETTERS),
            unknown=len(LETTERS) - 1,
            pad=0,
        ),
        limits=Limits(max_input_tokens=BUCKETS[-1]),
    )


def write_tagger(repository, name="tagger", manifest=None):
    """Publishes a tiny tagger; returns its folder."""
    tagger, rng = TinyTagger(), np.random.default_rng(2)
    tokens = rng.integers(0, len(WORDS), size=(3, BUCKETS[-1]))
    characters = rng.integers(0, len(LETTERS), size=(3, BUCKETS[-1], WIDTH))
    case = GoldenCase(
        {"tokens": tokens, "characters": characters, "lengths": np.array([3, 7, 16])},
        {"logits": tagger.run(tokens, characters)},
    )
    folder = repository / name / "1"
    files = {
        "sequence.onnx": tagger.graph(),
        "tokenizer.json": word_tokenizer(),
        "characters.json": letter_tokenizer(),
        "golden.npz": pack({"sequence": case}),
    }
    write_bundle(folder, manifest or tagging_manifest(name), files)
    return folder


def word_tokenizer():
    """Words in lower case; what is neither letter nor digit stands alone."""
    model = tokenizers.models.WordLevel(_numbered(WORDS), unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.NFC(), tokenizers.normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.WhitespaceSplit(),
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[^\w\s]"), "isolated"),
        ]
    )
    return tokenizer.to_str().encode()


def letter_tokenizer():
    """One token for each of LETTERS, and one for all others."""
    model = tokenizers.models.WordLevel(_numbered(LETTERS), unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(
        tokenizers.Regex(r"[\s\S]"), "isolated"
    )
    return tokenizer.to_str().encode()


def _numbered(items):
    return {item: number for number, item in enumerate(items)}
