"""How far back n-grams should look: each length counted and tried, as a table.

    python -m stepwire_training.compare_orders

counts nine tenths of what shakespeare-ngram learns from, measures the last tenth of that, and
writes recipes/shakespeare_orders.csv. The text that the bundle is measured on is left alone.
"""

import sys
from pathlib import Path

from stepwire_training.comparing import compare
from stepwire_training.data.batches import TextStream
from stepwire_training.data.splitting import Ids
from stepwire_training.evaluate import evaluate
from stepwire_training.graphs.ngram import ngram_graph
from stepwire_training.interrupt import Interrupt
from stepwire_training.models.ngram import Ngram
from stepwire_training.recipes import shakespeare_ngram

TABLE = "shakespeare_orders.csv"
HEADING = ("characters in a row", "nats a character, held out", "contexts", "graph, MiB")
ORDERS = (4, 5, 6, 7, 8)
LEARNED = 0.9
CHUNK = 256  # characters that are measured at once


def main() -> int:
    """Runs the comparison; the answer is the exit code."""
    return compare(TABLE, HEADING, rows)


def rows(runs: Path, interrupt: Interrupt) -> list[tuple[str, ...]]:
    """Counts and measures; the answer is the table's rows. It takes seconds: nothing is kept."""
    del runs, interrupt
    dataset = shakespeare_ngram.recipe().data.load()
    assert isinstance(dataset.train, TextStream)
    return [measured(dataset.train.ids, order, dataset.sizes[0]) for order in ORDERS]


def measured(text: Ids, order: int, vocabulary: int) -> tuple[str, ...]:
    """A row of the table."""
    cut = int(len(text) * LEARNED)
    model = Ngram.Config(order=order).build(vocabulary, 0)
    model.begin_from(text[:cut])
    loss = evaluate(model, TextStream(text[cut:], 1, CHUNK)).loss
    size_mib = len(ngram_graph(model)) / 2**20
    return str(order), f"{loss:.4f}", f"{len(model.left) - 1:,}", f"{size_mib:.1f}"


if __name__ == "__main__":
    sys.exit(main())
