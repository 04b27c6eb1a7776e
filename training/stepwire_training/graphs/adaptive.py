"""Words that are read and scored by how common they are, as nodes of a graph (models/adaptive.py).

N rows, V words, F frequent ones, E values of a frequent word, G values of a rarer one.
"""

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.models.adaptive import AdaptiveWords, RareWords


class Words:
    """The first and the last nodes of a step; the vectors are stored once for both."""

    def __init__(self, graph: GraphBuilder, words: AdaptiveWords) -> None:
        self._graph = graph
        self._words = words
        self._head = graph.weight("frequent_words", words.head.weight)
        self._rare = [
            (each, graph.weight(f"rare_words_{number}", each.vectors))
            for number, each in enumerate(words.classes())
        ]

    def read(self, token: str) -> str:
        """Vectors [N, E] of words [N].

        Each class gives that of its own word nearest to the one read, and the class that holds
        it is listened to.
        """
        graph = self._graph
        x = self._gathered(self._head, token, 0, self._words.frequent)
        for number, (each, vectors) in enumerate(self._rare):
            narrow = self._gathered(vectors, token, each.first, each.end)  # [N, G]
            widen = graph.weight(f"widen_{number}", each.widen.weight.T)
            holds = graph.op("GreaterOrEqual", token, graph.whole_number(each.first))
            column = graph.op("Unsqueeze", holds, graph.integers(f"column_{number}", 1))
            x = graph.op("Where", column, graph.op("MatMul", narrow, widen), x)
        return x

    def scored(self, x: str) -> str:
        """Logarithms of the probabilities of all words: [N, E] to [N, V]."""
        graph, frequent = self._graph, self._words.frequent
        turned = graph.node("Transpose", [self._head], perm=[1, 0])
        bias = graph.weight("head_bias", self._words.head.bias)
        head = graph.op("LogSoftmax", graph.op("Add", graph.op("MatMul", x, turned), bias))
        sizes = graph.integers("head_sizes", frequent, *(1 for _ in self._rare))
        first, *classes = graph.nodes("Split", [head, sizes], 1 + len(self._rare), axis=1)
        parts = [first]
        for number, (each, vectors) in enumerate(self._rare):
            among = graph.op("LogSoftmax", self._among(x, each, vectors, number))
            parts.append(graph.op("Add", among, classes[number]))
        return graph.node("Concat", parts, axis=1)

    def _among(self, x: str, each: RareWords, vectors: str, number: int) -> str:
        """Logits of a class's words among themselves."""
        graph = self._graph
        narrow = graph.op("MatMul", x, graph.weight(f"narrow_{number}", each.narrow.weight.T))
        return graph.op("MatMul", narrow, graph.node("Transpose", [vectors], perm=[1, 0]))

    def _gathered(self, vectors: str, token: str, first: int, end: int) -> str:
        """Vectors of words, or of the nearest that this table has."""
        graph = self._graph
        place = graph.op("Sub", token, graph.whole_number(first))
        inside = graph.op("Max", graph.whole_number(0), place)
        last = graph.whole_number(end - first - 1)
        return graph.op("Gather", vectors, graph.op("Min", last, inside))
