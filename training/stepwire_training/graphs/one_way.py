"""A recurrent layer over whole padded texts and what it ends with, as nodes.

N rows, T padded positions, E values of an embedding, H hidden units.
"""

from collections.abc import Sequence

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import product
from stepwire_training.graphs.scanned import scanned
from stepwire_training.graphs.stacks import stack
from stepwire_training.graphs.texts import Texts
from stepwire_training.models.encoder import recurrent
from stepwire_training.models.one_way import OneWay
from stepwire_training.models.recurrent import RecurrentLayer


def by_one_way(graph: GraphBuilder, model: OneWay, given: Texts) -> None:
    """The nodes of a model, and its logits as the output."""
    x = texts.embedded(graph, model.embedding.weight, texts.by_time(graph, given))  # [T, N, E]
    (layer,) = recurrent(model.layers)
    if layer.cell == "rnn":
        end = _plain(graph, layer, given, x)
    else:
        _, end = stack(graph, "forward", model.layers, [x, texts.ends(graph, given)])  # [N, H]
    texts.score(graph, end, model.output)


def _plain(graph: GraphBuilder, layer: RecurrentLayer, given: Texts, x: str) -> str:
    """The end of a layer of plain cells: x [T, N, E] to [N, H].

    Not by ONNX Runtime's own operator: that rounds a row otherwise when it is alone.
    """
    from_input = product(graph, "input", x, layer.weight_ih, layer.bias_ih + layer.bias_hh)
    weight = graph.weight("recurrent", layer.weight_hh.T)

    def cell(inner: GraphBuilder, said: str, states: Sequence[str]) -> list[str]:
        return [inner.op("Tanh", inner.op("Add", said, inner.op("MatMul", states[0], weight)))]

    return scanned(graph, given, from_input, cell, (layer.hidden, layer.hidden, 1))
