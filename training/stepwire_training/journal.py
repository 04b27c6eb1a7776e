"""What a run leaves to be read: a CSV log and a learning curve."""

import csv
import io
from pathlib import Path

from stepwire_training.checkpoint import Progress, write_atomically

BESIDE = {  # what a model is chosen by, if not by its loss: label and unit
    "dev_bleu": ("validation, greedy", "BLEU"),
    "dev_error": ("validation, error", "mean squared deviations"),
}


def write_log(path: Path, progress: Progress) -> None:
    """Writes one line an evaluation, from the run's first step on."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(progress.history[0]))
    writer.writeheader()
    writer.writerows(progress.history)
    write_atomically(path, text.getvalue().encode())


def write_curve(path: Path, title: str, progress: Progress) -> None:
    """Draws the learning curve into a file."""
    write_atomically(path, curve(title, progress))


def curve(title: str, progress: Progress) -> bytes:
    """Training and validation loss over the steps, as a PNG image."""
    # Imported here: drawing is slow to load, and only an evaluation needs it.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in progress.history]
    for column, label in (("train_loss", "training"), ("dev_loss", "validation, averaged weights")):
        axes.plot(steps, [row[column] for row in progress.history], label=label)
    axes.axvline(progress.best_step, color="grey", linewidth=0.8, linestyle=":")
    axes.set(title=title, xlabel="step", ylabel="nats")
    axes.legend(frameon=False, loc="center right")
    for column in BESIDE.keys() & progress.history[0].keys():  # one at most
        label, unit = BESIDE[column]
        beside = axes.twinx()
        figures = [row[column] for row in progress.history]
        beside.plot(steps, figures, color="C2", label=label)
        beside.set(ylabel=unit, ylim=(0, None))
        # Where a curve that rises, or falls, leaves room.
        beside.legend(frameon=False, loc="upper left" if column == "dev_bleu" else "upper right")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    return image.getvalue()
