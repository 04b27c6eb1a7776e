"""What a translator does once for each source, as a graph.

N sources, T padded positions, M size of the memory, Q of a query, L decoder layers,
H their units.
"""

import numpy as np
import onnx

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import product
from stepwire_training.graphs.stacks import stack
from stepwire_training.models.recurrent import STATES
from stepwire_training.models.translator import Translator


def encode_graph(model: Translator) -> bytes:
    """The file encode.onnx.

    Tokens [N, T] and lengths [N] to memory [N, T, M], keys [N, T, Q] unless the memory
    itself is the key, and the states that decoding begins with, [N, L, H] each. Behind a
    source's length memory and keys are zeros.
    """
    graph = GraphBuilder("encode")
    config, attention = model.config, model.attention
    tokens = graph.input("tokens", np.int64, ["N", "T"])
    lengths = graph.input("lengths", np.int64, ["N"])
    by_time = graph.node("Transpose", [tokens], perm=[1, 0])
    embedding = graph.weight("embedding", model.encoder.embedding.weight)
    inputs = [
        graph.node("Gather", [embedding, by_time]),  # [T, N, E]
        graph.node("Cast", [lengths], to=onnx.TensorProto.INT32),
    ]
    ahead, last = stack(graph, "forward", model.encoder.forwards, inputs)
    back, first = stack(graph, "reverse", model.encoder.backwards, inputs)
    both = graph.node("Concat", [ahead, back], axis=2)  # [T, N, M]
    memory = graph.node("Transpose", [both], perm=[1, 0, 2])
    size = 2 * config.encoder.hidden
    graph.output("memory", memory, ["N", "T", size])
    if attention.of_memory is not None:
        # No bias: zeros stay zeros.
        weight = graph.weight("keys_weight", attention.of_memory.weight.T)
        keys = graph.node("MatMul", [memory, weight])
        graph.output("keys", keys, ["N", "T", config.hidden])
    ends = graph.node("Concat", [last, first], axis=1)  # [N, M]
    shape = graph.integers("start_shape", 0, config.layers, config.hidden)
    for name, bridge in zip(STATES[config.cell], model.linear_bridges(), strict=True):
        crossed = product(graph, f"{name}_bridge", ends, bridge.weight, bridge.bias)
        start = graph.node("Reshape", [graph.node("Tanh", [crossed]), shape])
        graph.output(f"{name}_start", start, ["N", config.layers, config.hidden])
    return graph.build()
