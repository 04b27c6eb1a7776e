"""One step of a tagger that reads word by word, as a graph.

N rows, C characters of a word, Y layers, H hidden units, L labels.
"""

import numpy as np

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import CELLS, Names, join_state, product, split_state
from stepwire_training.graphs.tagging import Spelled, features
from stepwire_training.models.recurrent import STATES, Cell
from stepwire_training.models.stream_tagger import StreamTagger

CELL: Cell = "lstm"


def word_step_graph(model: StreamTagger, width: int) -> bytes:
    """The file step.onnx.

    Args:
        model: what it computes.
        width: characters of a word, C.

    Returns:
        A word [N, 1 + C], its number and then those of its characters, and states [N, Y, H] to
        logits [N, L] and the next states.
    """
    graph = GraphBuilder("step")
    layers = model.recurrent_layers()
    size = (len(layers), model.config.hidden)
    word = graph.input("word", np.int64, ["N", 1 + width])
    # As one position of sentences, which is what features are of.
    whole = graph.op("Unsqueeze", word, graph.integers("time_axis", 0))  # [1, N, 1 + C]
    number, characters = graph.nodes("Split", [whole, graph.integers("parts", 1, width)], 2, axis=2)
    numbers = graph.op("Squeeze", number, graph.integers("number_axis", 2))  # [1, N]
    parts = features(graph, model, numbers, Spelled(characters, width))
    joined = graph.node("Concat", parts, axis=2)
    x = graph.op("Squeeze", joined, graph.integers("position_axis", 0))  # [N, I]
    states = [split_state(graph, name, size) for name in STATES[CELL]]  # [state][layer]
    ends: list[Names] = []
    for index, layer in enumerate(layers):
        ends.append(CELLS[CELL](graph, f"layer{index}", layer, [x, *(s[index] for s in states)]))
        x = ends[-1][0]
    logits = product(graph, "output_product", x, model.output.weight, model.output.bias)
    graph.output("logits", logits, ["N", model.output.out_features])
    for name, of_layers in zip(STATES[CELL], zip(*ends, strict=True), strict=True):
        join_state(graph, f"{name}_next", list(of_layers), size)
    return graph.build()
