"""The tiny tagger as a step graph: it reads word by word, and its state is the word before."""

import numpy as np
from onnx import helper

from stepwire_zoo.bundle import write_bundle
from stepwire_zoo.golden import GoldenCase, pack
from stepwire_zoo.manifest import Graph, Limits, State, Tensor, Tokenizer
from support.tiny import make_manifest, onnx_file
from support.tiny_tagger import (
    FLOAT,
    INT64,
    LABELS,
    LETTERS,
    WIDTH,
    WORDS,
    TinyTagger,
    letter_tokenizer,
    word_tokenizer,
)

MOST_WORDS = 16


def step_graph(tagger):
    """What `TinyTagger.run` does of a sentence, a word at a time."""
    nodes = [
        helper.make_node("Split", ["word", "parts"], ["number", "letters"], axis=1),
        helper.make_node("Squeeze", ["number", "one"], ["token"]),
        helper.make_node("Gather", ["of_word", "token"], ["before_next"]),
        helper.make_node("Gather", ["of_letter", "letters"], ["scores"]),
        helper.make_node("ReduceMax", ["scores", "one"], ["most"], keepdims=0),
        helper.make_node("Mul", ["before", "half"], ["halved"]),
        helper.make_node("Add", ["before_next", "most"], ["own"]),
        helper.make_node("Add", ["own", "halved"], ["logits"]),
    ]
    weights = {
        "of_word": tagger.of_word,
        "of_letter": tagger.of_letter,
        "half": np.array(0.5, np.float32),
        "one": np.array([1], np.int64),
        "parts": np.array([1, WIDTH], np.int64),
    }
    said = {"logits": (FLOAT, ["N", len(LABELS)]), "before_next": (FLOAT, ["N", len(LABELS)])}
    read = {"word": (INT64, ["N", 1 + WIDTH]), "before": (FLOAT, ["N", len(LABELS)])}
    return onnx_file(nodes, weights, read, said)


def word_tagging_manifest(name="stream"):
    count = len(LABELS)
    return make_manifest(
        name=name,
        task="tagging",
        labels=LABELS,
        graphs={
            "step": Graph(
                file="step.onnx",
                inputs=(Tensor(name="word", dtype="int64", shape=(1 + WIDTH,), role="word"),),
                outputs=(Tensor(name="logits", dtype="float32", shape=(count,), role="logits"),),
                states=(
                    State(input="before", output="before_next", dtype="float32", shape=(count,)),
                ),
            )
        },
        tokenizer=Tokenizer(file="tokenizer.json", vocabulary_size=len(WORDS), unknown=0),
        characters=Tokenizer(
            file="characters.json", vocabulary_size=len(LETTERS), unknown=len(LETTERS) - 1, pad=0
        ),
        limits=Limits(max_input_tokens=MOST_WORDS),
    )


def some_words(rows, positions, seed=2):
    """Numbers that a row may read, [N, T, 1 + C]."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, len(WORDS), size=(rows, positions, 1))
    letters = rng.integers(0, len(LETTERS), size=(rows, positions, WIDTH))
    return np.concatenate([tokens, letters], axis=2)


def write_word_tagger(repository, name="stream", manifest=None):
    """Publishes a tiny tagger that reads word by word; returns its folder."""
    tagger, words = TinyTagger(), some_words(3, 5)
    case = GoldenCase({"word": words}, {"logits": tagger.run(words[:, :, 0], words[:, :, 1:])})
    folder = repository / name / "1"
    files = {
        "step.onnx": step_graph(tagger),
        "tokenizer.json": word_tokenizer(),
        "characters.json": letter_tokenizer(),
        "golden.npz": pack({"step": case}),
    }
    write_bundle(folder, manifest or word_tagging_manifest(name), files)
    return folder
