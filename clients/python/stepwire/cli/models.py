"""`stepwire models`, which loads and unloads too, and `stepwire show`."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from stepwire.cli.terminal import as_json, table, write_lines
from stepwire.client import Client
from stepwire.descriptions import Graph, Metric, Model, State, Tensor


def run_models(args: argparse.Namespace, client: Client) -> None:
    """Prints a line for every version of every model, or of the one that was loaded."""
    if args.action == "unload":
        client.unload_model(args.model)
        return
    models = client.load_model(args.model) if args.action == "load" else client.models()
    if args.json:
        write_lines([as_json(asdict(model)) for model in models])
        return
    head = ("NAME", "VERSION", "TASK", "STATE", "SUMMARY")
    rows = [(it.name, it.version, it.task, it.state, it.reason or it.summary) for it in models]
    write_lines(table([head, *rows]))


def run_show(args: argparse.Namespace, client: Client) -> None:
    """Prints everything about one model."""
    model = client.model(args.model, version=args.model_version)
    if args.json:
        write_lines([as_json(asdict(model))])
        return
    write_lines(table([row for row in _facts(model) if row[1]]))


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    """A name and a value each; an empty value has nothing to tell."""
    summary = model.summary
    yield "name", summary.name
    yield "version", summary.version
    yield "task", summary.task
    yield "state", f"{summary.state} ({summary.reason})" if summary.reason else summary.state
    yield "summary", summary.summary
    yield "languages", ", ".join(model.languages)
    yield "labels", ", ".join(model.labels)
    yield "labels of texts", ", ".join(model.text_labels)
    yield "licence", model.licence
    for name, limit in asdict(model.limits).items():
        yield name.replace("_", " "), f"{limit:,}" if limit else ""
    for name, value in sorted(model.decoding_defaults.items()):
        yield "default " + name.replace("_", " "), f"{value:g}"
    if model.series is not None:
        yield "columns", ", ".join(model.series.columns)
        yield "targets", ", ".join(model.series.targets)
        yield "horizon", f"{model.series.horizon:,} rows"
    for metric in model.metrics:
        yield metric.name, _measured(metric)
    yield from _origin(model)
    for graph in model.graphs:
        yield from _graph(graph)


def _origin(model: Model) -> Iterator[tuple[str, str]]:
    provenance = model.provenance
    yield "parameters", f"{provenance.parameters:,}" if provenance.parameters else ""
    for data in provenance.data:
        yield "data", f"{data.name} ({data.licence}) {data.home}"
    yield "recipe", provenance.recipe
    yield "made by", provenance.command
    yield "provider", model.provider
    because = f" ({model.precision_reason})" if model.precision_reason else ""
    yield "precision", f"{model.precision}{because}" if model.precision else ""
    alone = "no bit of a result depends on it" if model.batch_independent else "rows depend on it"
    yield "shared batch", alone if model.provider else ""
    yield "size", f"{model.size_bytes / 1e6:.1f} MB" if model.size_bytes else ""
    yield "loaded in", f"{model.load_seconds:.2f} s" if model.load_seconds else ""
    yield "digest", model.digest


def _measured(metric: Metric) -> str:
    beside = f"; published: {metric.published}" if metric.published else ""
    on = f" on {metric.split}" if metric.split else ""
    return f"{metric.value:g} {metric.unit}{on}{beside}"


def _graph(graph: Graph) -> Iterator[tuple[str, str]]:
    for kind, tensors in (("reads", graph.inputs), ("gives", graph.outputs)):
        for tensor in tensors:
            yield f"{graph.role} {kind}", f"{tensor.name} {_shape(tensor)}"
    for state in graph.states:
        yield (
            f"{graph.role} carries",
            f"{state.input} to {state.output} {_shape(state)}, starts at {state.start}",
        )


def _shape(tensor: Tensor | State) -> str:
    sizes = ", ".join(["N", *("?" if size < 0 else str(size) for size in tensor.shape)])
    return f"{tensor.dtype} [{sizes}]"
