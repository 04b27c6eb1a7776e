"""How well answers are foreseen by what answers are like, whatever was asked: as a table.

    python -m stepwire_training.compare_answers

counts the answers that chat-ko learns from, in runs of a few of its tokens, and writes
recipes/chat_answers.csv: what the test splits of its card cost a model that is deaf to questions.
"""

import sys
from pathlib import Path

import numpy as np
from torch import Tensor

from stepwire_training.comparing import compare
from stepwire_training.data import chat
from stepwire_training.data.batches import Dataset
from stepwire_training.data.parallel import PairTexts
from stepwire_training.data.splitting import Ids
from stepwire_training.interrupt import Interrupt
from stepwire_training.measure_answers import BY_CHARACTERS, PERPLEXITY, measure_answers
from stepwire_training.models.network import Network, State
from stepwire_training.models.ngram import Ngram
from stepwire_training.recipes import chat_ko

TABLE = "chat_answers.csv"
HEADING = ("tokens in a row", "perplexity, test", "by characters", "known answers", "new answers")
SHOWN = (
    (PERPLEXITY, "test"),
    (BY_CHARACTERS, "test"),
    (PERPLEXITY, chat.KNOWN),
    (PERPLEXITY, chat.NEW),
)
ORDERS = (2, 3, 4)


class Deaf(Network):
    """Answers by what was answered so far, and by nothing that was asked."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def start(self, rows: int) -> State:
        """There is no state to carry from answer to answer."""
        del rows
        return ()

    def forward(
        self, sources: Tensor, lengths: Tensor, begun: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Logits [B, T, V] after the tokens of answers [B, T]; the empty state."""
        del sources, lengths
        logits, _ = self.model(begun, self.model.start(len(begun)))
        return logits, state


def main() -> int:
    """Runs the comparison; the answer is the exit code."""
    return compare(TABLE, HEADING, rows)


def rows(runs: Path, interrupt: Interrupt) -> list[tuple[str, ...]]:
    """Counts and measures; the answer is the table's rows. It takes seconds: nothing is kept."""
    del runs, interrupt
    dataset = chat_ko.recurrent().data.load()
    return [measured(dataset, order) for order in ORDERS]


def measured(dataset: Dataset, order: int) -> tuple[str, ...]:
    """A row of the table."""
    held_out = dataset.translations
    assert held_out is not None
    model = Ngram.Config(order=order).build(dataset.sizes[0], 0)
    model.begin_from(answers(dataset))
    found = measure_answers(Deaf(model), held_out, "")
    values = {(metric.name, metric.split): metric.value for metric in found}
    return str(order), *(f"{values[name]:.1f}" for name in SHOWN if name in values)


def answers(dataset: Dataset) -> Ids:
    """All that are learned from, one behind another, each with its beginning and its end."""
    held_out, pairs = dataset.translations, dataset.train
    assert held_out is not None
    assert isinstance(pairs, PairTexts)
    ends = ([held_out.begin], [held_out.end])
    return np.concatenate([part for _, it in pairs.pairs for part in (ends[0], it, ends[1])])


if __name__ == "__main__":
    sys.exit(main())
