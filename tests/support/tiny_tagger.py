"""A tiny tagger whose every number is known: as NumPy, as an ONNX graph, and as a bundle.

A word's logits are what its number says, the most that one of its characters says, and half of
what the number of the word before it says. One that judges texts too says of a text the most
that the number of one of its words says.
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
TEXT_LABELS = ("ask", "tell")
WIDTH = 6  # characters that are read of a word
BUCKETS = (4, 8, 16)
INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT


class TinyTagger:
    """Scores words by their numbers, their characters and the word before."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.of_word = rng.normal(size=(len(WORDS), len(LABELS))).astype(np.float32)
        self.of_letter = rng.normal(size=(len(LETTERS), len(LABELS))).astype(np.float32)
        self.of_text = rng.normal(size=(len(WORDS), len(TEXT_LABELS))).astype(np.float32)

    def run(self, tokens, characters):
        """Tokens [N, T] and characters [N, T, C] to logits [N, T, L]."""
        words = self.of_word[tokens]
        before = np.zeros_like(words)
        before[:, 1:] = words[:, :-1]
        return words + self.of_letter[characters].max(axis=2) + np.float32(0.5) * before

    def judge(self, tokens, lengths):
        """Tokens [N, T] and lengths [N] to text_logits [N, K]."""
        rows = zip(tokens, lengths, strict=True)
        return np.stack([self.of_text[row[:length]].max(axis=0) for row, length in rows])

    def verdict(self, words):
        """The probability of every label of a text, by its name."""
        logits = self.judge(np.array([numbers_of(words)]), [len(words)])[0].astype(float)
        return dict(zip(TEXT_LABELS, np.exp(logits) / np.exp(logits).sum(), strict=True))

    def logits(self, words):
        """Those of the words of a sentence, [T, L]."""
        numbers = numbers_of(words)
        letters = [
            [LETTERS.index(each) if each in LETTERS else len(LETTERS) - 1 for each in word]
            for word in words
        ]
        return self.run(np.array([numbers]), spelled(letters, WIDTH)[None])[0]

    def tags(self, words):
        """The probabilities of every tag of every word, [T, L]."""
        logits = self.logits(words).astype(float)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def graph(self, judges=False, width=WIDTH):
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
            "characters": (INT64, ["N", "T", width]),
            "lengths": (INT64, ["N"]),
        }
        outputs = {"logits": (FLOAT, ["N", "T", len(LABELS)])}
        if judges:
            nodes += self._judging()
            weights |= {
                "of_text": self.of_text,
                "nothing": np.array(0, np.int64),
                "by_one": np.array(1, np.int64),
                "least": np.array(-1e9, np.float32),
            }
            outputs["text_logits"] = (FLOAT, ["N", len(TEXT_LABELS)])
        return onnx_file(nodes, weights, inputs, outputs)

    def _judging(self):
        return [
            helper.make_node("Gather", ["of_text", "tokens"], ["said"]),
            helper.make_node("Shape", ["tokens"], ["width"], start=1),
            helper.make_node("Squeeze", ["width"], ["most_words"]),
            helper.make_node("Range", ["nothing", "most_words", "by_one"], ["places"]),
            helper.make_node("Unsqueeze", ["lengths", "one"], ["ends"]),
            helper.make_node("Less", ["places", "ends"], ["inside"]),
            helper.make_node("Unsqueeze", ["inside", "two"], ["inside_text"]),
            helper.make_node("Where", ["inside_text", "said", "least"], ["heard"]),
            helper.make_node("ReduceMax", ["heard", "one"], ["text_logits"], keepdims=0),
        ]


def numbers_of(words):
    return [WORDS.index(word.lower()) if word.lower() in WORDS else 0 for word in words]


def tagging_manifest(name="tagger", judges=False):
    judging = Tensor(
        name="text_logits", dtype="float32", shape=(len(TEXT_LABELS),), role="text_logits"
    )
    return make_manifest(
        name=name,
        task="tagging",
        labels=LABELS,
        text_labels=TEXT_LABELS if judges else (),
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
                    *([judging] if judges else []),
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


def write_tagger(repository, name="tagger", manifest=None, judges=False, tagger=None):
    """Publishes a tiny tagger; returns its folder."""
    tagger, rng = tagger or TinyTagger(), np.random.default_rng(2)
    tokens = rng.integers(0, len(WORDS), size=(3, BUCKETS[-1]))
    characters = rng.integers(0, len(LETTERS), size=(3, BUCKETS[-1], WIDTH))
    lengths = np.array([3, 7, 16])
    outputs = {"logits": tagger.run(tokens, characters)}
    if judges:
        outputs["text_logits"] = tagger.judge(tokens, lengths)
    case = GoldenCase({"tokens": tokens, "characters": characters, "lengths": lengths}, outputs)
    folder = repository / name / "1"
    files = {
        "sequence.onnx": tagger.graph(judges),
        "tokenizer.json": word_tokenizer(),
        "characters.json": letter_tokenizer(),
        "golden.npz": pack({"sequence": case}),
    }
    write_bundle(folder, manifest or tagging_manifest(name, judges), files)
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
