"""Writes CARD.md. Every figure in it comes from the run, the proofs or the manifest."""

import csv
from pathlib import Path

from stepwire_training.checkpoint import Progress
from stepwire_training.data.batches import Dataset
from stepwire_training.prove import Proved
from stepwire_training.recipe import Recipe
from stepwire_zoo.manifest import Manifest, Metric

RECIPES = Path(__file__).parent / "recipes"

TEMPLATE = """\
# {name}

{summary}

{about}

| | |
| --- | --- |
| task | {task} |
{metrics}
| parameters | {parameters:,} |
| graph | `{graph}`, float32, {graph_mib:.1f} MiB |
| languages | {languages} |
| licence | {licence} |

## Data

{sources}

{split}

{facts}

## Tokens

{tokens}{comparison}

## Model and training

{model}

Published are the averaged weights of step {best_step:,} of {steps:,}, the best on the split \
that chooses (loss {best_loss:.4f}; the training loss there, with its dropout, was \
{train_loss:.4f}). Trained in {minutes:.0f} minutes on {machine}, threads used: \
{threads}{bf16}, seed {seed}. To make it again:

    {command}

![learning curve](learning_curve.png)

## Proofs

Checked when it was published: {whole}ONNX Runtime equals PyTorch within {absolute:g} + \
{relative:g} x value (largest difference of any logit: {difference:.1e}){padding}; and a row's \
result is bitwise the same whatever shares its batch, from 1 to 128 rows.

## What not to expect

{caveats}
"""


def write(
    manifest: Manifest, recipe: Recipe, dataset: Dataset, progress: Progress, proved: Proved
) -> str:
    """The text of a card."""
    about, made = recipe.publication, manifest.provenance
    best = next(row for row in progress.history if row["step"] == progress.best_step)
    values = {
        "name": manifest.name,
        "summary": manifest.summary,
        "about": about.about,
        "task": manifest.task,
        "metrics": "\n".join(_metric(metric) for metric in manifest.metrics),
        "parameters": made.parameters,
        "graph": proved.graph.file,
        "graph_mib": len(proved.content) / 2**20,
        "languages": ", ".join(manifest.languages),
        "licence": manifest.licence,
        "sources": "\n".join(f"- {s.name}: {s.licence}, <{s.home}>" for s in made.data),
        "split": about.split,
        "facts": "\n".join(f"- {name}: {count:,}" for name, count in dataset.facts.items()),
        "tokens": about.tokens,
        "comparison": _comparison(about.comparison),
        "model": _settings(recipe),
        "best_step": progress.best_step,
        "steps": recipe.steps,
        "best_loss": progress.best_loss,
        "train_loss": best["train_loss"],
        "minutes": made.training_seconds / 60,
        "machine": made.machine,
        "threads": recipe.threads,
        "bf16": ", matrix products in bfloat16" if recipe.bf16 else "",
        "seed": made.seed,
        "command": made.command,
        "absolute": manifest.golden.absolute_tolerance,
        "relative": manifest.golden.relative_tolerance,
        "difference": proved.difference,
        "whole": "" if proved.graph.buckets else "a text read in chunks equals it read whole; ",
        "padding": _padding(proved),
        "caveats": about.caveats,
    }
    return TEMPLATE.format(**values)


def _metric(metric: Metric) -> str:
    beside = f" (published: {metric.published})" if metric.published else ""
    return f"| {metric.name}, {metric.split} | **{metric.value:.4f}** {metric.unit}{beside} |"


def _padding(proved: Proved) -> str:
    sizes = ", ".join(map(str, proved.graph.buckets))
    return f", each text padded and alone, at the lengths {sizes}" if sizes else ""


def _settings(recipe: Recipe) -> str:
    """The recipe as it stands in the code, one line a part."""
    return f"    {recipe.model}\n    {recipe.data}".replace("(", "(", 1)


def _comparison(name: str) -> str:
    """A CSV file as a table."""
    if not name:
        return ""
    with (RECIPES / name).open(newline="") as file:
        rows = list(csv.reader(file))
    lines = ["| " + " | ".join(row) + " |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]]]
    return "\n\n" + "\n".join(lines)
