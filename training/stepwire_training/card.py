"""Writes CARD.md. Every figure in it comes from the run, the proofs or the manifest."""

import csv
from pathlib import Path

from stepwire_training.checkpoint import Progress
from stepwire_training.finished import Finished
from stepwire_training.proved import Proved
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Manifest, Metric

COMPARED = {  # what a proof compares, where it is no logit
    "embedding": "value or cosine",
    "forecasting": "value, as a share of 1 + the value",
}
RECIPES = Path(__file__).parent / "recipes"

TEMPLATE = """\
# {name}

{summary}

{about}

| | |
| --- | --- |
| task | {task} |
{architecture}{metrics}
| parameters | {parameters:,} |
{graphs}{languages}
| licence | {licence} |
{scoring}
## Data

{sources}

{split}

{facts}

## {read}

{tokens}{comparison}

## Model and training

{model}

{learned} on {machine}, threads used: {threads}{bf16}, seed {seed}.{seeds} To make it again:

    {command}

![learning curve](learning_curve.png)

## Proofs

Checked when it was published: {whole}ONNX Runtime equals PyTorch within {absolute:g} + \
{relative:g} x value (largest difference of any {compared}: {difference:.1e}){padding}; and a \
row's result is bitwise the same whatever shares its batch, from 1 to 128 rows.

## What not to expect

{caveats}
"""


def write(
    manifest: Manifest, finished: Finished, proved: Proved, signatures: dict[str, str]
) -> str:
    """The text of a card; signatures say how sacrebleu counted."""
    recipe, dataset, progress = finished.recipe, finished.dataset, finished.progress
    about, made = recipe.publication, manifest.provenance
    values = {
        "name": manifest.name,
        "summary": manifest.summary,
        "about": about.about,
        "task": manifest.task,
        "architecture": architecture(manifest),
        "metrics": "\n".join(_metric(metric) for metric in manifest.metrics),
        "parameters": made.parameters,
        "graphs": "\n".join(_graph(proved, role, about) for role in proved.graphs),
        "languages": _languages(manifest),
        "licence": manifest.licence,
        "sources": "\n".join(f"- {s.name}: {s.licence}, <{s.home}>" for s in made.data),
        "split": about.split,
        "facts": "\n".join(f"- {name}: {count:,}" for name, count in dataset.facts.items()),
        "read": "Rows" if manifest.series else "Tokens",
        "tokens": about.tokens,
        "comparison": _comparison(about.comparison),
        "model": _settings(recipe),
        "learned": _learned(recipe, progress, made.training_seconds),
        "scoring": _scoring(manifest, signatures),
        "machine": made.machine,
        "threads": recipe.threads,
        "bf16": ", matrix products in bfloat16" if recipe.bf16 else "",
        "seed": made.seed,
        "seeds": _seeds(made.seed, len(finished.others)),
        "command": made.command,
        "absolute": manifest.golden.absolute_tolerance,
        "relative": manifest.golden.relative_tolerance,
        "difference": proved.difference,
        "whole": _whole(manifest),
        "compared": COMPARED.get(manifest.task, "logit"),
        "padding": _padding(proved),
        "caveats": about.caveats,
    }
    return TEMPLATE.format(**values)


def architecture(manifest: Manifest) -> str:
    """A line of the table, if anybody said what it is built of."""
    return f"| architecture | {manifest.architecture} |\n" if manifest.architecture else ""


def _metric(metric: Metric) -> str:
    beside = f" (published: {metric.published})" if metric.published else ""
    spread = ""
    if metric.runs:
        low, mean, high = min(metric.runs), sum(metric.runs) / len(metric.runs), max(metric.runs)
        spread = f"; {low:.4f} to {high:.4f} in {len(metric.runs)} runs, mean {mean:.4f}"
    value = f"**{metric.value:.4f}** {metric.unit}"
    return f"| {metric.name}, {metric.split} | {value}{spread}{beside} |"


def _seeds(first: int, others: int) -> str:
    """What was run with other seeds."""
    if not others:
        return ""
    seeds = ", ".join(str(first + further) for further in range(others + 1))
    return (
        f" The recipe ran with the seeds {seeds}: other first weights, other dropout, the same "
        "training data in another order. Published is the first of them, whichever is best."
    )


def _languages(manifest: Manifest) -> str:
    """A line of the table, unless no language is read."""
    return f"\n| languages | {', '.join(manifest.languages)} |" if manifest.languages else ""


def _whole(manifest: Manifest) -> str:
    """What was shown of states that are carried."""
    if "step" not in manifest.graphs:
        return ""
    return f"a {'series' if manifest.series else 'text'} read in chunks equals it read whole; "


def _graph(proved: Proved, role: str, about: Publication) -> str:
    """A line of the table."""
    size_mib = len(proved.contents[role]) / 2**20
    stored = ", weights stored as float16" if about.half else ""
    if about.int8_tables:
        stored += ", tables stored as int8 with a float16 scale a row"
    if about.int8_matrices:
        stored = ", matrices stored as int8 with a float16 scale a row"
    return f"| graph | `{proved.graphs[role].file}`, float32{stored}, {size_mib:.1f} MiB |"


def _learned(recipe: Recipe, progress: Progress, seconds: float) -> str:
    """Where the weights come from, and what they cost."""
    took = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
    if recipe.learning_rate == 0:
        return f"All it knows was counted before the first step, which moved nothing. Took {took}"
    best = next(row for row in progress.history if row["step"] == progress.best_step)
    return (
        f"Published are the averaged weights of step {progress.best_step:,} of "
        f"{recipe.steps:,}, the best on the split that chooses ({_best(progress)}; the training "
        f"loss there, with its dropout, was {best['train_loss']:.4f}). Trained in {took}"
    )


def _best(progress: Progress) -> str:
    """What the published weights reached where they were chosen."""
    best = next(row for row in progress.history if row["step"] == progress.best_step)
    others = {"dev_bleu": ", greedy BLEU {:.2f}", "dev_error": ", mean squared error {:.4f}"}
    beside = "".join(words.format(best[name]) for name, words in others.items() if name in best)
    if progress.best_tagged >= 0:
        beside = f", accuracy {progress.best_tagged:.4f}"
    return f"loss {progress.best_loss:.4f}{beside}"


def _scoring(manifest: Manifest, signatures: dict[str, str]) -> str:
    """How translations were made and counted."""
    if not signatures:
        return ""
    options = ", ".join(f"{name} {value:g}" for name, value in manifest.decoding.items())
    counted = "\n".join(f"- {name}: `{signature}`" for name, signature in signatures.items())
    return f"""
Beam search with {options} (a score is the sum of log-probabilities over length to the power of \
the penalty, which the dev split chose), at most {manifest.limits.max_new_tokens} tokens; texts \
are counted as they are served, detokenised. Counted by sacrebleu, with these signatures:

{counted}
"""


def _padding(proved: Proved) -> str:
    sizes = next((graph.buckets for role, graph in proved.graphs.items() if role != "step"), ())
    lengths = ", ".join(map(str, sizes))
    return f", each text padded and alone, at the lengths {lengths}" if lengths else ""


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
