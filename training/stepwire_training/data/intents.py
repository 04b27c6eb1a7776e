"""What Korean utterances are for (3i4K, Cho et al., 2018), on the official split.

Seven classes; of the last only the way that it is said would tell what it is.
"""

from dataclasses import dataclass

from stepwire_training.data.batches import Dataset
from stepwire_training.data.fetch import Source
from stepwire_training.data.nsmc import Kinds, Review, Reviews, split

HOME = "https://raw.githubusercontent.com/warnikchow/3i4k/master/data/train_val_test"
TRAIN = Source(
    path="3i4k/fci_train_val.txt",
    url=f"{HOME}/fci_train_val.txt",
    sha256="646f450b84992c6df806ea72aa35374db7ec30d7739920b86dfa878e73b69079",
)
TEST = Source(
    path="3i4k/fci_test.txt",
    url=f"{HOME}/fci_test.txt",
    sha256="d74c5b376c7d231bd4d5a94de855e47b6e70c96abeeaaf75cffbdb8506a87ff2",
)
KINDS = Kinds(
    what="utterances",
    labels=(
        *("fragment", "statement", "question", "command"),
        *("rhetorical question", "rhetorical command", "depends on intonation"),
    ),
    dev=5_000,  # as large a share as its authors take
)


@dataclass(frozen=True, kw_only=True)
class Utterances:
    """Utterances, cut into tokens."""

    cut: Reviews

    def load(self) -> Dataset:
        """Reads both files and makes the splits."""
        return split(parse(TRAIN.read()), parse(TEST.read()), self.cut, KINDS)


def parse(content: bytes) -> list[Review]:
    """The utterances of a file: a label and a text a line, with a tab between."""
    fields = [line.split("\t", 1) for line in content.decode().split("\n") if line]
    return [Review(text.strip(), int(label)) for label, text in fields]
