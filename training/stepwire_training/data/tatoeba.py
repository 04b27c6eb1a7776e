"""Tatoeba: everyday English sentences with their French translations."""

import io
import random
import zipfile
from dataclasses import dataclass

from stepwire_training.data.batches import Dataset, Pair
from stepwire_training.data.fetch import Source
from stepwire_training.data.parallel import Cutting, Splits, dataset, plain

SOURCE = Source(
    path="tatoeba-eng-fra/fra-eng.zip",
    url="https://raw.githubusercontent.com/genimind/seq2seq/master/fra-eng.zip",
    sha256="16c4f7d0df9e7c5e6c54cdb0447f3f4a18a55052ff5e2e0b27dd4a06c0e49d04",
)
DEV_SENTENCES = 1_000  # English sentences, each with all its translations
TEST_SENTENCES = 2_000


@dataclass(frozen=True, kw_only=True)
class EnglishToFrench:
    """Everyday sentences, cut into tokens."""

    cutting: Cutting

    def load(self) -> Dataset:
        """Reads the pairs and splits them by their English sentence."""
        with zipfile.ZipFile(io.BytesIO(SOURCE.read())) as archive:
            lines = archive.read("fra.txt").decode().rstrip("\n").split("\n")
        pairs = [Pair(*line.split("\t")[:2]) for line in lines]
        return dataset(split(pairs, self.cutting.seed), self.cutting)


def split(pairs: list[Pair], seed: int) -> Splits:
    """Splits pairs so that no English sentence, however it is written, is in two splits.

    A held-out sentence is measured with one of its translations, the first.
    """
    by_sentence: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_sentence.setdefault(plain(pair.source), []).append(pair)
    sentences = sorted(by_sentence)
    random.Random(seed).shuffle(sentences)
    dev, test = sentences[:DEV_SENTENCES], sentences[DEV_SENTENCES:][:TEST_SENTENCES]
    rest = sentences[DEV_SENTENCES + TEST_SENTENCES :]
    return Splits(
        train=[pair for sentence in rest for pair in by_sentence[sentence]],
        dev=[by_sentence[sentence][0] for sentence in dev],
        tests={"test": [by_sentence[sentence][0] for sentence in test]},
    )
