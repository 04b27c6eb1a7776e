"""How much a language model should remember of what it read lately, as a table.

    python -m stepwire_training.compare_caches

trains wikitext2-lstm, or goes on from its checkpoint, chooses caches of several sizes on the
first half of the validation text, measures them on the second, and writes
recipes/wikitext2_caches.csv. The test text is left alone.
"""

import math
import sys
from pathlib import Path

import torch

from stepwire_training.comparing import compare
from stepwire_training.data.batches import TextStream
from stepwire_training.interrupt import Interrupt
from stepwire_training.models.cached import (
    CachedLanguageModel,
    Read,
    best_settings,
    directions_of,
    given,
    nats_of,
    read_along,
)
from stepwire_training.recipes import wikitext2_lstm
from stepwire_training.train import train

TABLE = "wikitext2_caches.csv"
HEADING = ("words", "numbers a key", "KiB a session", "perplexity a word")
CACHES = ((0, 0), (256, 16), (256, 32), (512, 32), (256, 448))  # words, numbers a key
ROWS, CHUNK = 16, 64  # read side by side; positions at once


def main() -> int:
    """Runs the comparison; the answer is the exit code."""
    return compare(TABLE, HEADING, rows)


def rows(runs: Path, interrupt: Interrupt) -> list[tuple[str, ...]]:
    """Trains, if that is yet to be done, and measures; the answer is the table's rows."""
    recipe = wikitext2_lstm.recipe()
    dataset = recipe.data.load()
    model = recipe.model.build(*dataset.sizes)
    model.load_state_dict(train(recipe, dataset, runs, interrupt).progress.best)
    assert isinstance(model, CachedLanguageModel)
    assert isinstance(dataset.dev, TextStream)
    text = dataset.dev.ids
    halves = (text[: len(text) // 2], text[len(text) // 2 :])
    chosen_on, tried_on = (
        read_along(model.model.eval(), TextStream(half, ROWS, CHUNK)) for half in halves
    )
    return [measured(chosen_on, tried_on, window, numbers) for window, numbers in CACHES]


def measured(chosen_on: Read, tried_on: Read, window: int, numbers: int) -> tuple[str, ...]:
    """A row of the table."""
    cached, share = torch.zeros_like(tried_on.scores), 0.0
    if window:
        directions = directions_of(chosen_on.told, numbers)
        best = best_settings(chosen_on, chosen_on.told @ directions, window)
        cached = given(tried_on, tried_on.told @ directions, window, best.sharpness)
        share = best.share
    perplexity = math.exp(nats_of(tried_on, cached, share))
    kib = window * (numbers * 4 + 8) / 1024  # float32, and a word as int64
    return f"{window}", f"{numbers}", f"{kib:.0f}", f"{perplexity:.1f}"


if __name__ == "__main__":
    sys.exit(main())
