"""Reading test splits, and counting what is right in them."""

import gzip
import hashlib

import pytest

from stepwire import ScoredLabel, TaggedText, TaggedToken
from stepwire.cli.evaluation import splits
from stepwire.cli.evaluation.figures import EVALUATIONS, Tally, entities, labels, tags
from stepwire.cli.evaluation.files import File
from stepwire.cli.evaluation.splits import Labelled, Tagged
from stepwire.cli.lines import InputError
from stepwire.messages import Classification

CONTENT = b"some bytes"
FILE = File(path="some/file.txt", sha256=hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPWIRE_DATA", str(tmp_path))
    (tmp_path / "some").mkdir()
    return tmp_path


def test_a_file_is_read_packed_or_plain(folder):
    (folder / "some/file.txt").write_bytes(CONTENT)
    assert FILE.read() == CONTENT
    (folder / "some/file.txt").unlink()
    (folder / "some/file.txt.gz").write_bytes(gzip.compress(CONTENT))
    assert FILE.read() == CONTENT


def test_another_file_of_that_name_is_refused(folder):
    (folder / "some/file.txt").write_bytes(b"other bytes")
    with pytest.raises(InputError, match=r"some/file\.txt must have SHA-256"):
        FILE.read()


def test_data_that_is_not_there_is_named(folder, monkeypatch):
    with pytest.raises(InputError, match=r"must have some/file\.txt or some/file\.txt\.gz"):
        FILE.read()
    monkeypatch.delenv("STEPWIRE_DATA")
    with pytest.raises(InputError, match="set STEPWIRE_DATA to the folder that has some/file"):
        FILE.read()


def test_only_whole_numbers_are_words():
    content = (
        "# text\n1\tI\t_\tPRON\n2-3\tdon't\t_\t_\n2\tdo\t_\tAUX\n"
        "3\tn't\t_\tPART\n3.1\tx\t_\tX\n\n\n1\tGo\t_\tVERB"
    )
    assert splits.sentences(content) == [
        Tagged(["I", "do", "n't"], ["PRON", "AUX", "PART"]),
        Tagged(["Go"], ["VERB"]),
    ]


class Right:
    """A client whose every answer is positive, or NOUN."""

    def classify(self, model, texts, top_k):
        label = ScoredLabel(label="positive", score=1.0)
        return [Classification(labels=(label,), token_count=1, truncated=False) for _ in texts]

    def tag(self, model, texts):
        noun = (ScoredLabel(label="NOUN", score=1.0),)
        return [
            TaggedText(
                tokens=tuple(TaggedToken(text=w, start=0, end=1, tags=noun) for w in words),
                truncated=False,
            )
            for words in texts
        ]


def test_hits_are_counted_by_text_and_by_word():
    texts = [Labelled("a", "positive"), Labelled("b", "negative"), Labelled("c", "positive")]
    sentences = [Tagged(["a", "b"], ["NOUN", "VERB"]), Tagged(["c"], ["NOUN"])]

    assert labels(Right(), "m", texts) == Tally(2, 3)
    assert tags(Right(), "m", sentences).plus(Tally(0, 1)).figure == 0.5


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("O O", set()),
        ("B-PER I-PER O B-LOC", {("PER", 0, 2), ("LOC", 3, 4)}),
        ("B-PER B-PER I-LOC", {("PER", 0, 1), ("PER", 1, 2), ("LOC", 2, 3)}),
        ("I-PER I-PER O I-PER", {("PER", 0, 2), ("PER", 3, 4)}),
    ],
)
def test_names_begin_and_end_where_the_tags_say(tags, wanted):
    assert entities(tags.split()) == wanted


def test_every_bundle_that_is_known_has_a_recipe():
    assert {"nsmc-bilstm", "pos-en", "pos-ko"} <= EVALUATIONS.keys()
