"""One step of a language model, or of one that judges as it reads, as a graph.

N rows, L layers, H hidden units, V scores: of the tokens, or of the labels.
"""

from collections.abc import Callable

import numpy as np

from stepwire_training.graphs.adaptive import Words
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import CELLS, Names, join_state, product, split_state
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.recurrent import STATES

Scored = Callable[[str], str]  # [N, H] to logits [N, V]


def step_graph(model: LanguageModel) -> bytes:
    """The file step.onnx: token [N] and states [N, L, H] to logits [N, V] and next states."""
    graph = GraphBuilder("step")
    _, scores = read_step(graph, model)
    graph.output("logits", scores, ["N", model.vocabulary])
    return graph.build()


def read_step(graph: GraphBuilder, model: LanguageModel) -> tuple[str, str]:
    """Reads a token and states, and declares the next ones.

    Returns:
        What the last layer says, [N, H], and the logits, [N, V].
    """
    config = model.config
    token = graph.input("token", np.int64, ["N"])
    size = (config.layers, config.hidden)
    states = [split_state(graph, name, size) for name in STATES[config.cell]]  # [state][layer]
    x, scored = _ends(graph, model, token)
    ends: list[Names] = []
    for index, layer in enumerate(model.recurrent_layers()):
        ends.append(
            CELLS[config.cell](graph, f"layer{index}", layer, [x, *(s[index] for s in states)])
        )
        x = ends[-1][0]
    if config.shows_memory:
        memories = [graph.op("Tanh", memory) for _, memory in ends]
        join_state(graph, "memory", memories, size)
    for name, parts in zip(STATES[config.cell], zip(*ends, strict=True), strict=True):
        join_state(graph, f"{name}_next", list(parts), size)
    return x, scored(x)


def _ends(graph: GraphBuilder, model: LanguageModel, token: str) -> tuple[str, Scored]:
    """What the first layer reads of a token, [N, E], and what scores what the last one says."""
    if model.words is not None:
        words = Words(graph, model.words)
        return words.read(token), words.scored
    embedding = graph.weight("embedding", model.embedding.weight)
    return graph.op("Gather", embedding, token), lambda x: _scored(graph, model, x, embedding)


def _scored(graph: GraphBuilder, model: LanguageModel, x: str, embedding: str) -> str:
    """Logits [N, V] from what the last layer says, [N, H]."""
    if not model.config.tied:
        return product(graph, "output", x, model.output.weight, model.output.bias)
    # Stored once; ONNX Runtime turns it round when it loads the graph.
    turned = graph.node("Transpose", [embedding], perm=[1, 0])
    return graph.op(
        "Add", graph.op("MatMul", x, turned), graph.weight("output_bias", model.output.bias)
    )
