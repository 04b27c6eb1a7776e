"""One step of a translator's decoder as a graph.

R rows in J groups that share a source, K places in a group, S padded positions of the
sources, M size of the memory, Q of a query, E embedding, L layers, H hidden units,
V tokens. Queries are brought to the sources, not the sources to the queries: nothing of
size [R, S, M] is ever copied.
"""

import numpy as np
import torch

from stepwire_training.graphs.builder import GraphBuilder
from stepwire_training.graphs.cells import CELLS, Names, join_state, product, split_state
from stepwire_training.graphs.stacks import positions
from stepwire_training.models.recurrent import STATES
from stepwire_training.models.translator import FEED, Translator


def decode_graph(model: Translator) -> bytes:
    """The file step.onnx.

    Takes token [R]; rows [J, K], the row that stands in each place; places [R], the place
    of each row; lengths [J], memory [J, S, M] and keys [J, S, Q] of the sources; and the
    states [R, L, H]. Gives logits [R, V], attention [R, S] and the next states.
    """
    graph = GraphBuilder("step")
    config = model.config
    size = (config.layers, config.hidden)
    embedding = graph.weight("embedding", model.embedding.weight)
    x = graph.node("Gather", [embedding, graph.input("token", np.int64, ["R"])])
    if config.input_feeding:
        fed = graph.input(FEED, np.float32, ["R", model.combine.out_features])
        x = graph.node("Concat", [x, fed], axis=1)
    states = [split_state(graph, name, size, rows="R") for name in STATES[config.cell]]
    source = _source(graph, model)
    ends: list[Names] = []
    context = x
    for index, layer in enumerate(model.recurrent_layers()):
        x = graph.node("Concat", [x, context], axis=1) if index else x
        inputs = [x, *(state[index] for state in states)]
        ends.append(CELLS[config.cell](graph, f"layer{index}", layer, inputs))
        x = ends[-1][0]
        if index == 0:
            context = _attend(graph, model, x, source)
    joined = graph.node("Concat", [x, context], axis=1)
    combined = product(graph, "combine", joined, model.combine.weight, model.combine.bias)
    out = graph.node("Tanh", [combined])  # [R, E]
    _score(graph, model, out, embedding)
    for name, parts in zip(STATES[config.cell], zip(*ends, strict=True), strict=True):
        join_state(graph, f"{name}_next", list(parts), size, rows="R")
    if config.input_feeding:
        graph.output(f"{FEED}_next", out, ["R", model.combine.out_features])
    return graph.build()


def _source(graph: GraphBuilder, model: Translator) -> dict[str, str]:
    """The inputs that say what rows look at."""
    config = model.config
    source = {
        "rows": graph.input("rows", np.int64, ["J", "K"]),
        "places": graph.input("places", np.int64, ["R"]),
        "lengths": graph.input("lengths", np.int64, ["J"]),
        "memory": graph.input("memory", np.float32, ["J", "S", 2 * config.encoder.hidden]),
    }
    source["keys"] = source["memory"]
    if model.attention.of_memory is not None:
        source["keys"] = graph.input("keys", np.float32, ["J", "S", config.hidden])
    return source


def _attend(graph: GraphBuilder, model: Translator, query: str, source: dict[str, str]) -> str:
    """What queries [R, Q] find: contexts [R, M]. The attention becomes an output."""
    if model.attention.of_query is not None:
        of_query = model.attention.of_query
        query = product(graph, "query", query, of_query.weight, of_query.bias)
    grouped = graph.node("Gather", [query, source["rows"]])  # [J, K, Q]
    position = positions(graph, source["memory"], axis=1)  # [S]
    around = graph.integers("around_axes", 1, 2)
    ends = graph.node("Unsqueeze", [source["lengths"], around])  # [J, 1, 1]
    inside = graph.node("Less", [position, ends])  # [J, 1, S]
    scores = _compare(graph, model, grouped, source["keys"])  # [J, K, S]
    never = graph.weight("never", np.array(-1e9, np.float32))
    weights = graph.node("Softmax", [graph.node("Where", [inside, scores, never])], axis=2)
    found = graph.node("MatMul", [weights, source["memory"]])  # [J, K, M]
    attention = by_row(graph, "attention", weights, source["places"])
    graph.output("attention", attention, ["R", "S"])
    return by_row(graph, "context", found, source["places"])


def _compare(graph: GraphBuilder, model: Translator, queries: str, keys: str) -> str:
    """Scores of queries [J, K, Q] against keys [J, S, Q]: [J, K, S]."""
    score = model.attention.score
    if score is None:
        # ONNX Runtime fuses the two: the keys are not copied.
        turned = graph.node("Transpose", [keys], perm=[0, 2, 1])
        return graph.node("MatMul", [queries, turned])
    each = graph.node("Unsqueeze", [queries, graph.integers("key_axis", 2)])  # [J, K, 1, Q]
    every = graph.node("Unsqueeze", [keys, graph.integers("query_axis", 1)])  # [J, 1, S, Q]
    mixed = graph.node("Tanh", [graph.node("Add", [each, every])])  # [J, K, S, Q]
    weighed = graph.node("MatMul", [mixed, graph.weight("score", score.unsqueeze(1))])
    return graph.node("Squeeze", [weighed, graph.integers("score_axis", 3)])


def by_row(graph: GraphBuilder, name: str, x: str, places: str) -> str:
    """What stands in the places of the rows: x [J, K, *] to [R, *]."""
    shape = graph.node(
        "Concat",
        [graph.integers(f"{name}_all", -1), graph.node("Shape", [x], start=2, end=3)],
        axis=0,
    )
    return graph.node("Gather", [graph.node("Reshape", [x, shape]), places])


def _score(graph: GraphBuilder, model: Translator, out: str, embedding: str) -> None:
    """The output logits [R, V]; a tied embedding is stored once."""
    output: torch.nn.Linear = model.output
    tied = model.config.tied
    weight = embedding if tied else graph.weight("output_weight", output.weight)
    bias = graph.weight("output_bias", output.bias)
    logits = graph.node("Gemm", [out, weight, bias], transB=1)
    graph.output("logits", logits, ["R", output.out_features])
