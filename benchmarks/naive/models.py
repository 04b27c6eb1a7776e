"""The two models of the naive server: one session, one tokenizer, one row at a time.

Shapes: V vocabulary.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers
from numpy.typing import NDArray

from stepwire_zoo.bundle import Bundle

State = dict[str, NDArray[np.float32]]


class Generator:
    """Steps one sequence by one token."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        graph = bundle.manifest.graphs["step"]
        self.session = _session(bundle.folder / graph.file, threads)
        self.tokenizer = _tokenizer(bundle)
        self.begin = bundle.manifest.tokenizer.begin
        self.suppressed = list(bundle.manifest.tokenizer.suppressed)
        self.states = graph.states
        self.outputs = ["logits", *(state.output for state in graph.states)]

    def start(self) -> State:
        """The state before any token."""
        return {s.input: np.zeros((1, *s.shape), np.float32) for s in self.states}

    def step(self, token: int, state: State) -> tuple[NDArray[np.float32], State]:
        """Reads one token; returns logits [V] and the next state."""
        feeds = {"token": np.array([token], np.int64), **state}
        logits, *following = self.session.run(self.outputs, feeds)
        return logits[0], {s.input: v for s, v in zip(self.states, following, strict=True)}

    def read(self, prompt: list[int], state: State) -> tuple[NDArray[np.float32], State]:
        """Reads a prompt; returns the logits behind it, [V], and the state."""
        for token in prompt:
            logits, state = self.step(token, state)
        return logits, state

    def choose(
        self, logits: NDArray[np.float32], temperature: float, rng: np.random.Generator
    ) -> int:
        """Chooses a token from logits [V]."""
        logits[self.suppressed] = -np.inf
        if not temperature:
            return int(logits.argmax())
        weights = np.exp((logits - logits.max()) / temperature)
        return int(np.searchsorted(weights.cumsum(), rng.random() * weights.sum()))


class Classifier:
    """Labels one text, at its exact length."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        graph = bundle.manifest.graphs["sequence"]
        self.session = _session(bundle.folder / graph.file, threads)
        self.tokenizer = _tokenizer(bundle)
        self.labels = bundle.manifest.labels
        self.unknown = bundle.manifest.tokenizer.unknown or 0

    def classify(self, text: str) -> tuple[list[tuple[str, float]], int]:
        """Returns labels with probabilities, likeliest first, and the number of tokens."""
        tokens = self.tokenizer.encode(text, add_special_tokens=False).ids or [self.unknown]
        feeds = {"tokens": np.array([tokens], np.int64), "lengths": np.array([len(tokens)])}
        logits = self.session.run(["logits"], feeds)[0][0]
        weights = np.exp(logits - logits.max())
        scores = (weights / weights.sum()).tolist()
        ranked = sorted(zip(self.labels, scores, strict=True), key=lambda pair: -pair[1])
        return ranked, len(tokens)


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _tokenizer(bundle: Bundle) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(bundle.folder / bundle.manifest.tokenizer.file))
