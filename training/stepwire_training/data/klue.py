"""Named entities of Korean sentences, character by character: KLUE-NER.

Its official dev set is all that is at hand, so the split is our own, by running number.
Characters are what is tagged, spaces with them: an entity may begin and end inside of an eojeol.
"""

import re
from dataclasses import dataclass, replace

from stepwire_training.data import kaist, korean_text
from stepwire_training.data.batches import Dataset
from stepwire_training.data.conllu import Sentence
from stepwire_training.data.fetch import Source
from stepwire_training.data.tagged import Reading, Splits, split

DEV_SET = Source(
    path="klue-ner/klue-ner-v1.1_dev.tsv",
    url="https://raw.githubusercontent.com/KLUE-benchmark/KLUE/main/klue_benchmark/klue-ner-v1.1/klue-ner-v1.1_dev.tsv",
    sha256="0f4d5e818f7b82d299c3a87856fc40a706f5943207580ddb252397e387050a54",
)
DEV, TEST = 8, 9  # last digits of the running numbers; the others are learned from
HEADING = re.compile(r"## klue-ner-v1_dev_(\d+)-")


@dataclass(frozen=True, kw_only=True)
class KlueEntities:
    """Sentences with a tag for every character."""

    reading: Reading

    def load(self) -> Dataset:
        """Reads the file, and the text that characters are known from."""
        parts = by_number(parse(DEV_SET.read().decode()))
        held_out = [sentence.text for sentence in (*parts.dev, *parts.test)]
        return split(replace(parts, untagged=[*map(list, untagged(held_out))]), self.reading)


def untagged(held_out: list[str]) -> list[str]:
    """Texts without tags; half of KLUE's sentences are of reviews that would be among them."""
    found = korean_text.without(korean_text.reviews(), held_out)
    treebank = [sentence.text for sentence in kaist.splits(kaist.documents()).train]
    return [*found, *korean_text.chats(), *treebank]


def by_number(found: dict[int, Sentence]) -> Splits:
    """The split: a fifth is held out."""
    parts: dict[int, list[Sentence]] = {DEV: [], TEST: []}
    train: list[Sentence] = []
    for number, sentence in sorted(found.items()):
        parts.get(number % 10, train).append(sentence)
    return Splits(train, parts[DEV], parts[TEST])


def parse(content: str) -> dict[int, Sentence]:
    """The sentences of the file by their running numbers: a character and its tag a line."""
    found = {}
    for block in content.split("\n\n"):
        lines = block.split("\n")
        numbers = [match for line in lines if (match := HEADING.match(line))]
        pairs = [tuple(line.split("\t")) for line in lines if "\t" in line and line[:2] != "##"]
        if numbers and pairs:
            characters, tags = zip(*pairs, strict=True)
            number = int(numbers[0].group(1))
            found[number] = Sentence(characters, tags, (False,) * len(pairs))
    return found
