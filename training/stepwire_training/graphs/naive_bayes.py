"""A table of what each token says for each label, summed up over a text, as nodes."""

from stepwire_training.graphs import texts
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.texts import Texts
from stepwire_training.models.naive_bayes import NaiveBayes


def by_table(graph: GraphBuilder, model: NaiveBayes, given: Texts) -> None:
    """The nodes of a model, and its logits as the output."""
    said = texts.embedded(graph, model.table, given.tokens)  # [N, T, C]
    total = texts.total(graph, said, texts.inside(graph, given))
    logits = graph.op("Add", total, graph.weight("prior", model.prior))
    graph.output("logits", logits, ["N", len(model.prior)])
