"""The two models that answer in Korean, served, against their graphs run by hand."""

import re
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer

import stepwire
from e2e.conftest import ZOO, zoo_served
from stepwire.cli.evaluation import script
from stepwire.errors import InvalidRequest
from stepwire_training import parity
from stepwire_zoo.bundle import open_bundle
from support.evaluating import DATA, ROOT, evaluate

NAMES = ("chat-ko", "chat-ko-transformer")
SPLIT = "korean-chatbot/ChatbotData.csv.gz"
LECTURE = ROOT / "docs" / "lectures" / "conversation.md"
ASKED = ROOT / "docs" / "lectures" / "conversation_questions.txt"
SAID = ("배고파", "오늘 너무 힘들었어.", "헤어졌는데 자꾸 생각나", "주말에 뭐 하지?", "ㅋㅋ")
GREEDY = stepwire.DecodingOptions(beam_width=1)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with zoo_served(tmp_path_factory.mktemp("zoo"), *NAMES, max_rows=32) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    with stepwire.Client(address) as client:
        yield client


def by_hand(name: str, text: str, count: int) -> list[int]:
    """The first tokens of the likeliest answer, one graph run a token; it never ends early."""
    bundle = open_bundle(ZOO / name / "1")
    manifest, special = bundle.manifest, bundle.manifest.tokenizer
    ids = Tokenizer.from_str(bundle.read("tokenizer.json").decode()).encode(text).ids
    bucket = min(size for size in manifest.graphs["encode"].buckets if size >= len(ids))
    lengths = np.array([len(ids)])
    feeds = {"tokens": np.array([ids + [0] * (bucket - len(ids))]), "lengths": lengths}
    read = parity.run(parity.session(bundle.read("encode.onnx")), feeds)
    states = {
        s.input: read.pop(s.start)
        if s.start != "zeros"
        else np.zeros((1, *s.shape), np.dtype(s.dtype))
        for s in manifest.graphs["step"].states
    }
    seen = {"rows": np.zeros((1, 5), np.int64), "places": np.array([0]), "lengths": lengths}
    step, token, found = parity.session(bundle.read("step.onnx")), special.begin, list[int]()
    while len(found) < count:
        told = parity.run(step, {"token": np.array([token]), **seen, **read, **states})
        states = {name: told[f"{name}_next"] for name in states}
        scores = told["logits"][0]
        scores[[special.end, *special.suppressed]] = -np.inf
        token = int(scores.argmax())
        found.append(token)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_longer_than_the_window_is_that_of_the_graphs_by_hand(client, name):
    options = stepwire.DecodingOptions(beam_width=1, min_tokens=40, max_tokens=40)
    answers = client.translate(name, SAID, options=options)
    for text, answer in zip(SAID, answers, strict=True):
        assert list(answer.hypotheses[0].token_ids) == by_hand(name, text, 40)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_gives_the_same_bits_alone_and_among_others(client, name):
    options = stepwire.DecodingOptions(beam_width=5, num_hypotheses=5, logprobs=2)
    wanted = stepwire.Translating(return_attention=True)
    together = client.translate(name, SAID, options=options, wanted=wanted)
    for text, result in list(zip(SAID, together, strict=True))[::2]:
        [alone] = client.translate(name, text, options=options, wanted=wanted)
        assert alone.hypotheses == result.hypotheses


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_was_broken_off_goes_on_where_it_was(client, name):
    options = stepwire.DecodingOptions(beam_width=5, min_tokens=30, max_tokens=30)
    [whole] = client.translate(name, SAID[1], options=options)
    asked = replace(options, resume_every=12)
    with client.stream_translations(name, SAID[1], options=asked) as updates:
        token = next(update.resume_token for update in updates if update.resume_token)
    [rest] = client.translate(name, [token])

    assert rest.hypotheses == whole.hypotheses


@pytest.mark.parametrize("name", NAMES)
def test_a_session_answers_step_by_step_and_goes_on_from_its_token(client, name):
    tokens = by_hand(name, SAID[0], 30)
    begin = open_bundle(ZOO / name / "1").manifest.tokenizer.begin
    options = stepwire.SessionOptions(source=SAID[0])
    wanted = stepwire.Outputs(logits=True)
    with client.session(name, options=options) as session:
        half = session.step([begin, *tokens[:26]], export=True)
        whole = session.step(tokens[26:], outputs=wanted)
    with client.session(state_token=half.state_token) as other:
        again = other.step(tokens[26:], outputs=wanted)

    assert again.last.logits == whole.last.logits


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_in_korean_and_hangul_may_come_in_any_form(client, name):
    said = "내일 뭐 할까?"
    [plain] = client.translate(name, said)
    [apart] = client.translate(name, unicodedata.normalize("NFD", said))

    assert re.search("[가-힣]", plain.text)
    assert plain.text == unicodedata.normalize("NFC", plain.text)
    assert apart.hypotheses == plain.hypotheses


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("said", ["😀", "😀🎉🔥", "Qx7!?"])
def test_what_holds_no_word_it_knows_is_answered_all_the_same(client, name, said):
    [answer] = client.translate(name, said, options=GREEDY)
    assert answer.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", "hold at least one token"),
        ("  \n\t ", "hold at least one token"),
        ("보고 싶다 " * 2_000, "64"),
    ],
)
def test_nothing_and_far_too_much_get_a_clear_error(client, name, said, wanted):
    with pytest.raises(InvalidRequest, match=wanted):
        client.translate(name, said)


def test_the_figures_of_the_card_are_those_of_the_served_model(address):
    code, told = evaluate(address, "chat-ko", needs=SPLIT)
    assert (code, len(told)) == (0, 5)
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=0.01)


def test_a_sample_of_answers_is_about_as_likely_as_all_of_them(address):
    code, told = evaluate(address, "chat-ko-transformer", "--sample", "100", needs=SPLIT)
    assert code == 0
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], rel=0.6)


def test_the_questions_of_the_lecture_are_those_of_the_test_split(monkeypatch):
    if not (DATA / SPLIT).exists():
        pytest.skip(f"{SPLIT} is not at hand; set STEPWIRE_DATA")
    monkeypatch.setenv("STEPWIRE_DATA", str(DATA))
    asked = ASKED.read_text(encoding="utf-8").splitlines()

    assert asked == list(dict.fromkeys(pair.source for pair in script.chat()))


def test_the_lecture_shows_the_answers_as_they_come(client):
    first = ASKED.read_text(encoding="utf-8").splitlines()[:10]
    lines = LECTURE.read_text(encoding="utf-8").splitlines()
    columns = [
        [it.text for it in client.translate(name, first, options=options)]
        for name in NAMES
        for options in (GREEDY, stepwire.DecodingOptions(beam_width=5))
    ]
    for said, *answers in zip(first, *columns, strict=True):
        [row] = [line for line in lines if line.startswith(f"| {said} (")]
        assert row.endswith(f"| {' | '.join(answers)} |")
