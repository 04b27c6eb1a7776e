"""What a transformer that writes about sources does once for each of them, as a graph.

N sources, T padded positions, E values of a token.
"""

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.described import encoding
from stepwire_training.graphs.transformer import looked_around
from stepwire_training.models.transformer_translator import TransformerTranslator, asked_names
from stepwire_zoo.manifest import Graph, Tensor


def transformer_encode_graph(model: TransformerTranslator) -> bytes:
    """The file encode.onnx.

    Tokens [N, T] and lengths [N] to keys and values [N, T, E] of each layer of the decoder. Behind
    a source's length they are zeros.
    """
    graph = GraphBuilder("encode")
    given = texts.begin(graph)
    within = texts.inside(graph, given)  # [N, T]
    x = looked_around(graph, model.embedding.weight, model.reading(), [given.tokens, within])
    x = texts.normalised(graph, "last", x, model.read_last)
    real = graph.op("Unsqueeze", within, graph.integers("real_axis", 2))  # [N, T, 1]
    size = model.config.embedding
    for index, layer in enumerate(model.writing()):
        both = texts.linear(graph, f"of_source{index}", x, layer.of_source)  # [N, T, 2E]
        kept = graph.op("Where", real, both, graph.number(0.0))
        parts = graph.nodes("Split", [kept], 2, axis=2, num_outputs=2)
        for name, part in zip(asked_names(index), parts, strict=True):
            graph.output(name, part, ["N", "T", size])
    return graph.build()


def describe_transformer_encode(model: TransformerTranslator, buckets: tuple[int, ...]) -> Graph:
    """What the manifest says of it."""
    return encoding(contexts_of(model), buckets)


def contexts_of(model: TransformerTranslator) -> tuple[Tensor, ...]:
    """What the step graph looks at."""
    return tuple(
        Tensor(name=name, dtype="float32", shape=(-1, model.config.embedding), role="context")
        for index in range(model.config.layers)
        for name in asked_names(index)
    )
