"""The published classifiers of whole texts, served as a user gets them."""

import re
import unicodedata

import numpy as np
import pytest

from e2e.conftest import zoo_served
from stepwire import Client, InvalidRequest
from support.evaluating import evaluate

COMPARED = (
    *("nsmc-bayes", "nsmc-cnn", "nsmc-gru", "nsmc-ln-lstm", "nsmc-lstm", "nsmc-rnn"),
    "nsmc-transformer",
)
EVERY = (*COMPARED, "names-gru", "intent-ko", "sst2-bilstm")
WHOLE = {  # of the splits that are small: where they are, and how many texts they have
    "names-gru": ("names-nationality/names.tar.gz", 2_711),
    "intent-ko": ("3i4k/fci_test.txt.gz", 6_121),
    "sst2-bilstm": ("sst2/test.tsv.gz", 1_821),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with zoo_served(tmp_path_factory.mktemp("zoo"), *EVERY) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    with Client(address) as client:
        yield client


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_every_figure_of_the_card_is_that_of_the_served_model(address, name):
    needs, count = WHOLE[name]
    code, told = evaluate(address, name, needs=needs)
    assert code == 0
    figures = {figure["metric"] for figure in told}
    assert figures == {"accuracy", "loss"} | ({"macro F1"} if name != "sst2-bilstm" else set())
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=1e-3)
        assert figure["count"] == count


@pytest.mark.parametrize("name", ["nsmc-bayes", "nsmc-ln-lstm", "nsmc-transformer"])
def test_a_sample_of_the_reviews_scores_as_all_of_them_do(address, name):
    code, [told, _] = evaluate(address, name, "--sample", "1000", needs="nsmc/ratings_test.txt.gz")
    error = np.sqrt(told["card"] * (1 - told["card"]) / told["count"])
    assert (code, told["metric"], told["count"]) == (0, "accuracy", 1_000)
    assert told["value"] == pytest.approx(told["card"], abs=3 * error)


@pytest.mark.parametrize("name", COMPARED)
def test_plain_reviews_are_judged_as_a_reader_would(client, name):
    found = client.classify(
        name, ["정말 재미있게 봤어요 최고의 영화", "시간이 아깝다 지루하고 재미없음"]
    )
    assert [one.label for one in found] == ["positive", "negative"]


@pytest.mark.parametrize(
    ("text", "label", "word"),
    [
        ("A MOVING, beautifully acted film.", "positive", "beautifully"),
        ("The plot is dull, and nobody seems to mind.", "negative", "dull"),
        ("It's a funny and touching story!", "positive", "touching"),
        ("What a lifeless mess.", "negative", "mess"),
    ],
)
def test_english_sentences_are_judged_by_the_words_that_say_it(client, text, label, word):
    [found] = client.classify("sst2-bilstm", text, return_attention=True)
    assert found.label == label
    assert sum(token.weight for token in found.tokens) == pytest.approx(1.0, abs=1e-5)
    # Common words are one token; what is neither word nor one of a few marks is not read.
    assert [token.text for token in found.tokens] == re.findall(r"'s|[A-Za-z]+|[,?!]", text)
    assert word in sorted(found.tokens, key=lambda token: -token.weight)[0].text
    for token in found.tokens:
        assert text[token.start : token.end] == token.text


def test_a_rare_word_is_looked_at_in_pieces_and_none_is_lost(client):
    text = "Zanily unputdownable\U0001f3ac fil\u00fcm-making"
    [found] = client.classify("sst2-bilstm", text, return_attention=True)
    assert len(found.tokens) > 4
    assert "".join(token.text for token in found.tokens) == "Zanilyunputdownablefil\u00fcmmaking"
    assert sum(token.weight for token in found.tokens) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_a_text_is_one_text_however_it_is_composed(client, name):
    text = "정말 괜찮은데 ŻÓŁĆ"
    composed, taken_apart = client.classify(
        name, [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    )
    assert composed == taken_apart


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("text", ["", " \t\n ", "😀🎬", "ᄀ", "a" * 40])
def test_what_says_nothing_gets_a_verdict_all_the_same(client, name, text):
    [found] = client.classify(name, text)
    assert sum(it.score for it in found.labels) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_a_text_over_the_limit_is_refused_with_its_length(client, name):
    with pytest.raises(InvalidRequest, match=r"in \[0, \d+\]|at most \d+"):
        client.classify(name, "별로 " * 300)
