"""Figures of translators, forecasters and detectors, beside slower or other ways to them."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from stepwire.cli.evaluation import (
    alarms,
    answering,
    forecasting,
    labelling,
    predicting,
    translating,
)
from stepwire.cli.evaluation.answering import Answered
from stepwire.cli.evaluation.pairs import Pair
from stepwire.cli.evaluation.series import Held, Stream
from stepwire.cli.evaluation.splits import Labelled as Example
from stepwire.cli.evaluation.splits import Tagged
from stepwire.cli.lines import InputError
from stepwire_training import entity_scoring, measure, measure_series
from stepwire_training.data.observed import Labelled, Observed

PAIRS = [Pair("a cat", "eine Katze sitzt hier"), Pair("a dog", "ein Hund lief dort vorbei")]
TEXTS = ["eine Katze Sitzt hier", "ein Hund lief da vorbei"]


@pytest.mark.parametrize("cut", ["13a", "char"])
def test_translations_are_counted_as_in_training(cut):
    by_search, greedily = translating.translating(lambda: PAIRS, "test", cut)
    wanted = measure.figures(TEXTS, PAIRS, cut, "test, beam 5")
    for figure, metric in zip(by_search.figures, wanted, strict=True):
        assert (figure.metric, figure.split) == (metric.name, metric.split)
        assert figure.measure(PAIRS, TEXTS) == (pytest.approx(metric.value, abs=0.005), 2)
    assert [(it.metric, it.split) for it in greedily.figures] == [("BLEU", "test, greedy")]


def test_answers_are_counted_by_tokens_and_by_characters_with_their_ends():
    examples = [Answered("갈까", "네.", known=True), Answered("올래", "곧 가요", known=False)]
    costs = [[1.0, 2.0], [0.5, 0.5, 2.0]]
    of_all, other = answering.answering(lambda: examples, list)
    found = {(it.metric, it.split): it.measure(examples, costs) for it in of_all.figures}
    assert found == {
        ("perplexity", "test"): (pytest.approx(math.exp(6 / 5)), 5),
        ("perplexity by characters", "test"): (pytest.approx(math.exp(6 / 8)), 8),
        ("perplexity", "test, answers of training"): (pytest.approx(math.exp(3 / 2)), 2),
        ("perplexity", "test, new answers"): (pytest.approx(math.exp(3 / 3)), 3),
    }
    assert [(it.metric, it.split) for it in other.figures] == [
        ("perplexity", "test, other questions")
    ]
    with pytest.raises(InputError, match="must hold something to count, got none"):
        of_all.figures[3].measure(examples[:1], costs[:1])


def test_rare_labels_count_like_common_ones():
    wanted, found = "aaaabbc", "aaabbbb"
    examples = [Example("", label) for label in wanted]
    answers = [{"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.1} | {label: 0.7} for label in found]
    # d is neither there nor found; c is there and never found.
    value = (2 * 3 / 7 + 2 * 2 / 6 + 0) / 3
    assert labelling.macro_f1(examples, answers) == (pytest.approx(value), 7)


def test_entities_are_counted_by_types_and_tags_as_in_training():
    wanted = [["B-PS", "I-PS", "O", "B-LC"], ["O", "B-PS", "B-DT"], ["B-QT"]]
    found = [["B-PS", "I-PS", "O", "B-PS"], ["O", "B-PS", "I-DT"], ["O"]]
    examples = [Tagged([*"abcd"[: len(tags)]], tags) for tags in wanted]
    assert labelling.entity_mean_f1(examples, found).value == pytest.approx(
        entity_scoring.mean_f1(found, wanted)
    )
    assert labelling.tag_mean_f1(examples, found).value == pytest.approx(
        entity_scoring.mean_tag_f1(found, wanted)
    )


@pytest.mark.parametrize(
    ("module", "evaluation", "package"),
    [
        ("sacrebleu.metrics.bleu", translating.translating(lambda: PAIRS, "test")[0], "sacrebleu"),
        ("stepwire_training.nab_scoring", alarms.alarming(list), "numpy"),
    ],
)
def test_what_is_not_installed_is_named_before_anything_is_read(
    monkeypatch, module, evaluation, package
):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delattr("stepwire_training.nab_scoring", raising=False)
    with pytest.raises(InputError, match=rf"need {package}: pip install 'stepwire\[evaluation\]'"):
        evaluation.read()


def test_alarms_are_scored_as_in_training():
    rng = np.random.default_rng(0)
    windows = (((40, 49),), (), ((60, 79), (90, 99)), ((30, 39),))
    surprises = [rng.normal(size=100) + np.isin(np.arange(100), [45, 72, 35]) for _ in windows]
    streams = [
        Stream(found.tolist(), spans, place % 2 == 0)
        for place, (found, spans) in enumerate(zip(surprises, windows, strict=True))
    ]
    labelled = [
        Labelled(str(place), np.zeros((100, 1), np.float32), spans)
        for place, spans in enumerate(windows)
    ]
    observed = Observed(
        columns=("value",),
        horizon=1,
        means=np.zeros(1, np.float32),
        scales=np.ones(1, np.float32),
        learned=tuple(labelled[0::2]),
        unseen=tuple(labelled[1::2]),
    )
    by_name = {str(place): found for place, found in enumerate(surprises)}
    wanted = measure_series.nab_scores("surprise", by_name, observed)

    *scores, threshold = alarms.alarming(lambda: streams).figures
    answers = [found.tolist() for found in surprises]
    for figure, metric in zip(scores, wanted, strict=True):
        assert (figure.metric, figure.split) == (metric.name, metric.split)
        assert figure.measure(streams, answers).value == pytest.approx(metric.value)
    assert threshold.measure(streams, answers).counted == 3


def test_streams_without_a_window_cannot_be_scored():
    [score, *_] = alarms.alarming(list).figures
    with pytest.raises(InputError, match="must hold a labelled window, got none"):
        score.measure([Stream([1.0], (), True)], [[0.0]])


def test_errors_of_a_forecast_are_those_of_training():
    rng = np.random.default_rng(0)
    rows, said = rng.normal(size=(60, 2)), rng.normal(size=(7, 24, 2))
    first, scales = 60 - 24 - 6, np.array([2.0, 0.5])
    held = Held(rows.tolist(), scales.tolist(), first)
    answer = said.reshape(7, -1).tolist()  # after the row before, and after six behind it
    wide = np.stack([rows[first + place :][:24] for place in range(7)])
    wanted = [
        *measure_series.errors("24 rows ahead", (said - wide) / scales),
        *measure_series.errors("one row ahead", (said[:, :1] - wide[:, :1]) / scales),
    ]
    for figure, metric in zip(forecasting.forecasting(lambda: [held]).figures, wanted, strict=True):
        assert (figure.metric, figure.split) == (metric.name, metric.split)
        assert figure.measure([held], [answer]).value == pytest.approx(metric.value)


@pytest.mark.parametrize("length", [1, 2_048, 2_049, 7_000])
def test_passages_of_a_text_hold_each_character_but_the_first_once(length):
    text = "".join(chr(0xAC00 + place) for place in range(length))
    found = predicting.passages(text)
    assert "".join(it.text[it.before :] for it in found) == text[1:]
    assert all(it.before == predicting.BEFORE for it in found[1:])


def test_only_what_counts_of_a_passage_counts():
    def score(model, texts):
        tokens = [[SimpleNamespace(logprob=-float(c)) for c in text] for text in texts]
        return [SimpleNamespace(tokens=each) for each in tokens]

    passages = [predicting.Passage("912", 1), predicting.Passage("993", 2)]
    costs = predicting.costs(SimpleNamespace(score=score), "m", passages)
    assert predicting.nats(passages, costs) == (2.0, 3)


@pytest.mark.parametrize("size", [1, 300, 9_000])
def test_passages_in_lines_hold_each_line_once(size):
    text = "".join(f"line {number} " + "x" * (number % size) + "\n" for number in range(400))
    found = predicting.lines(text)
    counted = ["".join(it.text.splitlines(keepends=True)[it.before :]) for it in found]
    assert "".join(counted) == text
    assert sum(it.words for it in found) == len(text.split()) + 400
    assert all(it.before == predicting.LINES_BEFORE for it in found[1:])


def test_perplexity_counts_words_and_only_of_the_lines_that_count():
    def score(model, texts):
        words = [text.replace("\n", " \n ").split(" ") for text in texts]
        tokens = [
            [SimpleNamespace(text=word, logprob=-float(len(word))) for word in each if word]
            for each in words
        ]
        return [SimpleNamespace(tokens=each) for each in tokens]

    examples = [predicting.Lines("aa b\n", 0, 3), predicting.Lines("aaa\nbb b\n", 1, 3)]
    [perplexity, loss] = predicting.by_words(list, "test").figures
    answers = predicting.by_words(list, "test").ask(SimpleNamespace(score=score), "m", examples)
    assert answers == [[2, 1, 1], [2, 1, 1]]
    assert perplexity.measure(examples, answers) == (pytest.approx(math.exp(8 / 6)), 6)
    assert loss.measure(examples, answers) == (8 / 6, 6)
