"""A whole-text classifier as a graph: tokens [N, T] and lengths [N] to logits [N, C]."""

from collections.abc import Callable
from typing import Any

from stepwire_training.graphs import texts
from stepwire_training.graphs.bilstm import by_both_ways
from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.convolution import by_convolution
from stepwire_training.graphs.naive_bayes import by_table
from stepwire_training.graphs.normalised_lstm import by_normalised_lstm
from stepwire_training.graphs.one_way import by_one_way
from stepwire_training.graphs.texts import Texts
from stepwire_training.graphs.transformer import by_transformer
from stepwire_training.models.classifier import Classifier
from stepwire_training.models.convolution import Convolution
from stepwire_training.models.naive_bayes import NaiveBayes
from stepwire_training.models.network import Network
from stepwire_training.models.normalised_lstm import NormalisedLstm
from stepwire_training.models.one_way import OneWay
from stepwire_training.models.transformer import Transformer

# By kind of model, what writes its nodes, from the tokens to the logits [N, C].
JUDGES: dict[type[Network], Callable[[GraphBuilder, Any, Texts], None]] = {
    Classifier: by_both_ways,
    Convolution: by_convolution,
    NaiveBayes: by_table,
    NormalisedLstm: by_normalised_lstm,
    OneWay: by_one_way,
    Transformer: by_transformer,
}


def sequence_graph(model: Network) -> bytes:
    """The file sequence.onnx of a classifier that reads whole texts."""
    graph = GraphBuilder("sequence")
    JUDGES[type(model)](graph, model, texts.begin(graph))
    return graph.build()
