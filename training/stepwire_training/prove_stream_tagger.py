"""Proves the step graph of a tagger that reads one way (see parity), and makes its golden case.

N rows, T positions, C characters of a word.
"""

import numpy as np
from torch import Tensor

from stepwire_training import parity
from stepwire_training.data.batches import Dataset, Shard
from stepwire_training.data.splitting import Ids
from stepwire_training.graphs.described import carried
from stepwire_training.graphs.word_step import CELL, word_step_graph
from stepwire_training.models.network import Network, State
from stepwire_training.models.recurrent import STATES
from stepwire_training.models.stream_tagger import StreamTagger
from stepwire_training.proved import GOLDEN, Proved, logits_of
from stepwire_training.recipe import Recipe
from stepwire_zoo import manifest

WORD = "word"
GOLDEN_ROWS, GOLDEN_POSITIONS = 4, 24
LONG = 0.95  # where, in a split by length, the sentences are long, and many are so


class WordByWord(Network):
    """A tagger whose words and characters come as one tensor, as its graph reads them."""

    def __init__(self, model: StreamTagger) -> None:
        super().__init__()
        self.model = model

    def start(self, rows: int) -> State:
        """The state before any word."""
        return self.model.start(rows)

    def forward(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores the labels of words, int64 [N, T, 1 + C]."""
        lengths = words.new_full((len(words),), words.shape[1])
        return self.model(words[:, :, 0], words[:, :, 1:], lengths, state)


def prove_stream_tagger(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """A step graph, on the beginnings of sentences the model did not learn from.

    Raises:
        ParityError: the graph does not compute what the model computes.
    """
    del recipe
    assert isinstance(model, StreamTagger)
    reader, words = WordByWord(model).eval(), golden_words(dataset)
    width = words.shape[2] - 1
    case, content = parity.step_case(reader, words, WORD), word_step_graph(model, width)
    shape = (model.config.layers, model.config.hidden)
    graph = manifest.Graph(
        file="step.onnx",
        inputs=(manifest.Tensor(name=WORD, dtype="int64", shape=(1 + width,), role=WORD),),
        outputs=(logits_of(model.output.out_features),),
        states=tuple(carried(name, shape) for name in STATES[CELL]),
    )
    return Proved(
        graphs={"step": graph},
        contents={"step": content},
        cases={"step": case},
        difference=parity.prove_step(content, reader, case, GOLDEN, WORD),
    )


def golden_words(dataset: Dataset) -> Ids:
    """Rather long sentences of the validation split, cut to one length, [N, T, 1 + C]."""
    place = round(LONG * (len(dataset.dev) - 1))
    tokens, characters, lengths = dataset.dev.batch(place, Shard()).inputs
    words = np.concatenate([tokens.numpy()[:, :, None], characters.numpy()], axis=2)
    positions = min(GOLDEN_POSITIONS, int(lengths[:GOLDEN_ROWS].min()))
    return words[:GOLDEN_ROWS, :positions]
