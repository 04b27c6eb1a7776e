"""Makes the step graph of a model that reads tokens one by one, and proves it (see parity)."""

from typing import NamedTuple

from stepwire_training import parity
from stepwire_training.data.splitting import Ids
from stepwire_training.graphs import ngram
from stepwire_training.graphs.cached import cached_graph
from stepwire_training.graphs.described import carried
from stepwire_training.graphs.step import step_graph
from stepwire_training.graphs.window_transformer import shape_of, window_graph
from stepwire_training.models.cached import KEYS, WORDS, CachedLanguageModel
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.models.network import Network
from stepwire_training.models.ngram import Ngram
from stepwire_training.models.recurrent import STATES
from stepwire_training.models.window_transformer import WindowTransformer, state_names
from stepwire_training.proved import GOLDEN, Proved, logits_of
from stepwire_zoo.golden import GoldenCase
from stepwire_zoo.manifest import Graph, State, Tensor

MOST_LOGITS = 1 << 18  # that a bundle keeps: 1 MiB
FEWEST_STEPS = 4


class Made(NamedTuple):
    """A step graph, and what the manifest says of it beside its token."""

    content: bytes
    outputs: tuple[Tensor, ...]
    states: tuple[State, ...]


def prove_steps(model: Network, tokens: Ids) -> Proved:
    """Proves a step graph on tokens [N, T].

    Raises:
        ParityError: the graph does not compute what the model computes.
    """
    case = parity.step_case(model, tokens)
    made = made_of(model)
    graph = Graph(
        file="step.onnx",
        inputs=(Tensor(name="token", dtype="int64", shape=(), role="token"),),
        outputs=made.outputs,
        states=made.states,
    )
    return Proved(
        graphs={"step": graph},
        contents={"step": made.content},
        cases={"step": kept(case)},
        difference=parity.prove_step(made.content, model, case, GOLDEN),
    )


def kept(case: GoldenCase) -> GoldenCase:
    """What a bundle keeps of a case: all of it, unless there are very many logits at a place."""
    ((name, tokens),) = case.inputs.items()
    logits = case.outputs["logits"]  # [N, T, V]
    places = MOST_LOGITS // logits.shape[-1]
    rows = min(len(tokens), max(1, places // FEWEST_STEPS))
    steps = max(FEWEST_STEPS, places // rows)
    return GoldenCase({name: tokens[:rows, :steps]}, {"logits": logits[:rows, :steps]})


def made_of(model: Network) -> Made:
    """The step graph of a model of any kind."""
    if isinstance(model, Ngram):
        return _of_ngram(model)
    if isinstance(model, WindowTransformer):
        return _of_window(model)
    if isinstance(model, CachedLanguageModel):
        return _of_cached(model)
    assert isinstance(model, LanguageModel)
    return _of_cells(model)


def _of_cells(model: LanguageModel) -> Made:
    config = model.config
    shape = (config.layers, config.hidden)
    outputs = [logits_of(model.vocabulary)]
    if config.shows_memory:
        outputs.append(Tensor(name="memory", dtype="float32", shape=shape, role="hidden"))
    states = [carried(name, shape) for name in STATES[config.cell]]
    return Made(step_graph(model), tuple(outputs), tuple(states))


def _of_cached(model: CachedLanguageModel) -> Made:
    inner, config = _of_cells(model.model), model.config
    keys = carried(KEYS, (config.window, config.directions))
    words = carried(WORDS, (config.window,), dtype="int64")
    return Made(cached_graph(model), inner.outputs, (*inner.states, keys, words))


def _of_ngram(model: Ngram) -> Made:
    last = carried(ngram.STATE, (model.config.order - 1,), dtype="int64")
    return Made(ngram.ngram_graph(model), (logits_of(model.vocabulary),), (last,))


def _of_window(model: WindowTransformer) -> Made:
    *names, counted = state_names(model.config.layers)
    states = [carried(name, shape_of(model.config)) for name in names]
    logits = logits_of(model.output.out_features)
    return Made(window_graph(model), (logits,), (*states, carried(counted, (1,), dtype="int64")))
