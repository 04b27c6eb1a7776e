"""Makes a trained model's graph and golden case, and proves them (see parity)."""

from collections.abc import Callable

import numpy as np

from stepwire_training import parity
from stepwire_training.data.batches import PADDING, Dataset, Shard
from stepwire_training.data.splitting import Ids
from stepwire_training.graphs.attentive import attentive_graph
from stepwire_training.graphs.sequence import JUDGES, sequence_graph
from stepwire_training.models.attentive import AttentiveClassifier
from stepwire_training.models.cached import CachedLanguageModel
from stepwire_training.models.chain_tagger import ChainTagger
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.models.joint_tagger import JointTagger
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.network import Network
from stepwire_training.models.ngram import Ngram
from stepwire_training.models.stream_classifier import StreamClassifier
from stepwire_training.models.stream_tagger import StreamTagger
from stepwire_training.models.tagger import Tagger
from stepwire_training.models.transformer_translator import TransformerTranslator
from stepwire_training.models.translator import Translator
from stepwire_training.models.window_transformer import WindowTransformer
from stepwire_training.models.word_vectors import CountFitting, NoiseContrast
from stepwire_training.prove_series import prove_series
from stepwire_training.prove_steps import prove_steps
from stepwire_training.prove_stream_tagger import prove_stream_tagger
from stepwire_training.prove_tagger import prove_tagger
from stepwire_training.prove_translator import prove_translator
from stepwire_training.prove_vectors import prove_vectors
from stepwire_training.proved import GOLDEN, Proved, logits_of
from stepwire_training.recipe import Recipe
from stepwire_zoo.manifest import Graph, Tensor

GOLDEN_ROWS = 4
GOLDEN_POSITIONS = 48  # steps of a golden case, at most
LONG = 0.95  # where, in a split by length, the texts are long, and many are so


def prove(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """Proves a model of any kind.

    Raises:
        ParityError: the graph does not compute what the model computes.
    """
    provers: dict[type[Network], Callable[[Recipe, Network, Dataset], Proved]] = {
        **dict.fromkeys(
            (LanguageModel, CachedLanguageModel, Ngram, WindowTransformer), _prove_generator
        ),
        **dict.fromkeys(JUDGES, _prove_classifier),
        AttentiveClassifier: _prove_attentive,
        StreamClassifier: _prove_stream,
        Translator: prove_translator,
        TransformerTranslator: prove_translator,
        Tagger: prove_tagger,
        ChainTagger: prove_tagger,
        JointTagger: prove_tagger,
        StreamTagger: prove_stream_tagger,
        Forecaster: prove_series,
        NoiseContrast: prove_vectors,
        CountFitting: prove_vectors,
    }
    return provers[type(model)](recipe, model, dataset)


def _prove_generator(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """A step graph, on text the model did not learn from."""
    del recipe
    return prove_steps(model, golden_text(dataset))


def _prove_stream(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """A step graph, on the beginnings of texts the model did not learn from."""
    del recipe
    return prove_steps(model, golden_beginnings(dataset))


def _prove_classifier(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """A sequence graph, on texts the model did not learn from."""
    return _prove_texts(recipe, model, dataset, sequence_graph(model))


def _prove_attentive(recipe: Recipe, model: Network, dataset: Dataset) -> Proved:
    """The same, and what it says of where it looked."""
    assert isinstance(model, AttentiveClassifier)
    attention = Tensor(name="attention", dtype="float32", shape=(-1,), role="attention")
    return _prove_texts(recipe, model, dataset, attentive_graph(model), attention)


def _prove_texts(
    recipe: Recipe, model: Network, dataset: Dataset, content: bytes, *others: Tensor
) -> Proved:
    """A graph of whole texts, whose outputs are logits and others."""
    buckets = recipe.publication.buckets
    texts = golden_texts(dataset)
    positions = min(size for size in buckets if size >= max(map(len, texts)))
    graph = Graph(
        file="sequence.onnx",
        inputs=(
            Tensor(name="tokens", dtype="int64", shape=(-1,), role="tokens"),
            Tensor(name="lengths", dtype="int64", shape=(), role="lengths"),
        ),
        outputs=(logits_of(len(dataset.labels)), *others),
        buckets=buckets,
    )
    return Proved(
        graphs={"sequence": graph},
        contents={"sequence": content},
        cases={"sequence": parity.sequence_case(model, texts, positions)},
        difference=parity.prove_sequence(content, model, texts, buckets, GOLDEN),
    )


def golden_text(dataset: Dataset) -> Ids:
    """The beginnings of some rows of validation text, [GOLDEN_ROWS, GOLDEN_POSITIONS]."""
    (tokens,), _, _ = dataset.dev.batch(0, Shard())
    return tokens[:GOLDEN_ROWS, :GOLDEN_POSITIONS].numpy()


def golden_beginnings(dataset: Dataset) -> Ids:
    """Rather long texts of the validation split, cut to one length, [GOLDEN_ROWS, T]."""
    place = round(LONG * (len(dataset.dev) - 1))
    (tokens,), targets, _ = dataset.dev.batch(place, Shard())
    # The last target of a row is at the end of its text.
    ends = [int(row.nonzero().max()) + 1 for row in targets[:GOLDEN_ROWS] != PADDING]
    return tokens[:GOLDEN_ROWS, : min(GOLDEN_POSITIONS, *ends)].numpy()


def golden_texts(dataset: Dataset) -> list[Ids]:
    """Some texts of the validation split, of several lengths."""
    places = np.linspace(0, len(dataset.dev) - 1, num=2 * GOLDEN_ROWS)[:-1].astype(int)
    batches = [dataset.dev.batch(int(place), Shard()).inputs for place in places]
    return [tokens[0, : lengths[0]].numpy() for tokens, lengths in batches]
