"""An LSTM with normalised gates over whole padded texts, as nodes; ONNX has no operator for it.

N rows, T padded positions, E values of an embedding, H hidden units.
"""

from collections.abc import Sequence

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import normalised_memory
from stepwire_training.graphs.scanned import scanned
from stepwire_training.graphs.texts import Texts
from stepwire_training.models.normalised_lstm import NormalisedLstm


def by_normalised_lstm(graph: GraphBuilder, model: NormalisedLstm, given: Texts) -> None:
    """The nodes of a model, and its logits as the output."""
    layer = model.layer
    x = texts.embedded(graph, model.embedding.weight, texts.by_time(graph, given))  # [T, N, E]
    from_input = graph.op("MatMul", x, graph.weight("input", layer.weight_ih.T))  # [T, N, 4H]
    from_input = texts.normalised(graph, "of_input", from_input, layer.of_input)
    recurrent = graph.weight("recurrent", layer.weight_hh.T)

    def cell(inner: GraphBuilder, said: str, states: Sequence[str]) -> list[str]:
        h, c = states
        from_state = inner.op("MatMul", h, recurrent)
        gates = inner.op(
            "Add", said, texts.normalised(inner, "of_state", from_state, layer.of_state)
        )
        return normalised_memory(inner, "memory", layer, [gates, c])

    end = scanned(graph, given, from_input, cell, (4 * layer.hidden, layer.hidden, 2))
    texts.score(graph, end, model.output)
