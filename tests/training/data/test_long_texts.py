from dataclasses import dataclass

from stepwire_training.data.batches import Shard
from stepwire_training.data.long_texts import LongText, Parts

LINE = "a line that is long enough to be told from others\n"


@dataclass(frozen=True, kw_only=True)
class Made(LongText):
    """A text that is known by heart."""

    def parts(self):
        numbered = "".join(f"{number}: {LINE}" for number in range(100))
        return Parts(numbered + LINE, "b" + numbered, "c" + LINE + "new " + LINE + "7: " + LINE)


def test_the_test_text_is_read_from_its_first_character_to_its_last():
    dataset = Made(rows=4, length=16, seed=1).load()
    chunks = [dataset.test.batch(step, Shard()) for step in range(len(dataset.test))]

    read = "".join(dataset.tokenizer.decode(chunk.targets[0].tolist()) for chunk in chunks)
    assert "c" + read == Made(rows=4, length=16, seed=1).parts().test


def test_no_character_of_any_split_is_unknown():
    tokenizer = Made(rows=4, length=16, seed=1).load().tokenizer

    assert "<unk>" not in tokenizer.encode("".join(Made(rows=1, length=1, seed=1).parts())).tokens


def test_lines_that_are_learned_and_measured_are_counted():
    facts = Made(rows=4, length=16, seed=1).load().facts

    assert facts["test lines of at least 40 characters"] == 3
    assert facts["of these, lines that stand in the training text too"] == 1
