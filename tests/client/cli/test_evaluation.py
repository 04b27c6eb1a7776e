"""Reading test splits, and counting what is right in them."""

import gzip
import hashlib
import json
import math
from pathlib import Path

import pytest

from stepwire import ScoredLabel, TaggedText, TaggedToken
from stepwire.cli.evaluation import splits
from stepwire.cli.evaluation.bundles import EVALUATIONS
from stepwire.cli.evaluation.files import File
from stepwire.cli.evaluation.labelling import entities, labelling, naming, tagging
from stepwire.cli.evaluation.requests import Part, Request
from stepwire.cli.evaluation.slots import filling
from stepwire.cli.evaluation.splits import Labelled, Tagged
from stepwire.cli.lines import InputError
from stepwire.messages import Classification

ZOO = Path(__file__).parents[3] / "model_zoo/bundles"
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


def test_types_that_the_corpora_do_not_share_are_no_names():
    content = "Ann\tB-person\r\nsings\tO\r\nHey\tB-creative-work\r\n\r\n\tO\nACME\tB-corporation\n"
    assert splits.named(content) == [
        Tagged(["Ann", "sings", "Hey"], ["B-PER", "O", "O"]),
        Tagged(["ACME"], ["B-ORG"]),
    ]


class Sure:
    """A client to whom three of four texts are positive, and every word is a NOUN."""

    def classify(self, model, texts):
        scores = (ScoredLabel(label="positive", score=0.75), ScoredLabel(label="other", score=0.25))
        return [Classification(labels=scores, token_count=1, truncated=False) for _ in texts]

    def tag(self, model, texts):
        noun = (ScoredLabel(label="NOUN", score=1.0),)
        return [
            TaggedText(
                tokens=tuple(TaggedToken(text=w, start=0, end=1, tags=noun) for w in words),
                truncated=False,
            )
            for words in texts
        ]


def figures(evaluation, examples):
    answers = evaluation.ask(Sure(), "m", examples)
    return [figure.measure(examples, answers) for figure in evaluation.figures]


def test_texts_are_counted_and_what_their_labels_cost():
    texts = [Labelled("a", "positive"), Labelled("b", "other"), Labelled("c", "positive")]
    accuracy, loss = figures(labelling(splits.nsmc), texts)
    assert accuracy == (pytest.approx(2 / 3), 3)
    assert loss == (pytest.approx(-(2 * math.log(0.75) + math.log(0.25)) / 3), 3)


def test_words_are_counted_and_not_sentences():
    sentences = [Tagged(["a", "b"], ["NOUN", "VERB"]), Tagged(["c"], ["NOUN"])]
    assert figures(tagging(splits.ewt), sentences) == [(pytest.approx(2 / 3), 3)]


REQUEST = Request(
    "Play", (Part("play Yes", ""), Part("Close to the Edge", "album"), Part(", by", ""))
)


def an_answer(label, *tokens):
    return TaggedText(
        tokens=tuple(
            TaggedToken(text=text, start=REQUEST.text.index(text), end=0, tags=(scored(tag),))
            for text, tag in tokens
        ),
        truncated=False,
        labels=(scored(label),),
    )


def scored(label):
    return ScoredLabel(label=label, score=0.9)


@pytest.mark.parametrize(
    ("label", "tags", "wanted"),
    [
        ("Play", "O O B I I I O", [(1.0, 2), (1.0, 1), (1.0, 1)]),
        ("Rate", "O O B I I I O", [(1.0, 2), (0.0, 1), (0.0, 1)]),
        ("Play", "O B B I I I O", [(2 / 3, 3), (1.0, 1), (0.0, 1)]),
        ("Play", "O O B B I I O", [(0.0, 3), (1.0, 1), (0.0, 1)]),
    ],
)
def test_requests_are_right_in_their_intent_their_slots_or_both(label, tags, wanted):
    words = ["play", "Yes", "Close", "to", "the", "Edge", "by"]
    named = [tag if tag == "O" else f"{tag}-album" for tag in tags.split()]
    answer = an_answer(label, *zip(words, named, strict=True))
    found = [figure.measure([REQUEST], [answer]) for figure in filling(list).figures]
    assert found == [(pytest.approx(value), count) for value, count in wanted]


def test_a_request_without_an_answer_is_wrong():
    nothing = TaggedText(tokens=(), truncated=False)
    _, intents, both = filling(list).figures
    assert intents.measure([REQUEST], [nothing]) == both.measure([REQUEST], [nothing]) == (0.0, 1)


def test_a_sample_with_nothing_to_count_is_refused():
    with pytest.raises(InputError, match="must hold something to count, got none"):
        figures(naming(splits.btc), [Tagged(["a"], ["O"])])


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


def test_each_figure_of_a_bundle_is_named_once():
    assert {"nsmc-bilstm", "pos-en", "pos-ko"} <= EVALUATIONS.keys()
    for evaluations in EVALUATIONS.values():
        named = [(it.metric, it.split) for one in evaluations for it in one.figures]
        assert len(set(named)) == len(named)


@pytest.mark.parametrize("name", sorted(path.name for path in ZOO.iterdir()))
def test_every_bundle_of_the_zoo_is_scored_by_its_first_figure_at_least(name):
    manifest = json.loads((ZOO / name / "1/manifest.json").read_text())
    told = [(metric["name"], metric["split"]) for metric in manifest["metrics"]]
    scored = {(it.metric, it.split) for one in EVALUATIONS[name] for it in one.figures}
    assert told[0] in scored
    assert scored <= set(told)
