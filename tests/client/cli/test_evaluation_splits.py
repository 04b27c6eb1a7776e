"""What the command reads is what training held out: two readers of the same files."""

import os
from pathlib import Path

import numpy as np
import pytest

from stepwire.cli.evaluation import pairs, requests, script, series, splits, texts, word_sets
from stepwire_training.data import (
    chat,
    conllu,
    entities,
    everyday,
    ewt,
    intents,
    klue,
    likeness,
    long_texts,
    multi30k,
    nab,
    names,
    shakespeare,
    snips,
    sst2,
    tagged,
    wikitext,
)
from stepwire_training.data import tatoeba as tatoeba_data
from stepwire_training.data.nsmc import LABELS
from stepwire_training.data.words import word_tokenizer
from stepwire_training.recipes import RECIPES

DATA = Path(os.environ.get("STEPWIRE_DATA") or Path(__file__).parents[4] / "shared/data")


@pytest.fixture(autouse=True)
def data(monkeypatch):
    monkeypatch.setenv("STEPWIRE_DATA", str(DATA))


@pytest.fixture
def held_out(monkeypatch):
    """The splits of a recipe, before anything is cut into tokens."""

    def load(module, recipe, cutter="dataset"):
        monkeypatch.setattr(module, cutter, lambda found, *_, **__: found)
        return RECIPES[recipe]().data.load()

    return load


def needs(*paths):
    absent = [path for path in paths if not any(DATA.glob(f"{path}*"))]
    if absent:
        pytest.skip(f"{absent[0]} is not at hand; set STEPWIRE_DATA")


@pytest.mark.parametrize("into", ["de", "fr"])
def test_captions_are_those_of_the_official_tests(held_out, into):
    needs("multi30k")
    tests = held_out(multi30k, f"multi30k-en-{into}").tests
    for name in ("test_2016", "test_2017"):
        assert pairs.multi30k(into, name) == tests[name]


def test_sentences_of_tatoeba_are_drawn_alike(held_out):
    needs("tatoeba-eng-fra")
    assert pairs.tatoeba() == held_out(tatoeba_data, "tatoeba-en-fr").tests["test"]


@pytest.mark.parametrize("direction", ["en-ko", "ko-en"])
def test_everyday_sentences_are_drawn_alike_in_both_directions(held_out, direction):
    needs("korsts-stsb", "tatoeba-eng-kor")
    tests = held_out(everyday, f"everyday-{direction}").tests
    turn = pairs.turned if direction == "ko-en" else list
    assert turn(pairs.korsts()) == tests["korsts test"]
    assert turn(pairs.korean_tatoeba()) == tests["tatoeba test"]


def test_questions_of_a_chat_are_drawn_alike():
    needs("korean-chatbot")
    tests = chat.split(chat.distinct(chat.script())).tests
    ours = script.chat()
    assert [pair[:2] for pair in ours] == tests["test"]
    assert [pair[:2] for pair in ours if pair.known] == tests[chat.KNOWN]
    assert [pair[:2] for pair in ours if not pair.known] == tests[chat.NEW]
    assert [pair[:2] for pair in script.elsewhere()] == tests[chat.SWAPPED]


def test_names_in_sentences_are_read_alike(held_out, monkeypatch):
    needs("btc", "wnut17")
    monkeypatch.setattr(entities.ewt, "untagged", list)  # plain text, of which nothing is scored
    wanted = held_out(entities, "ner-en", "split")
    for found, sentences in (
        (splits.btc(), wanted.test),
        (splits.wnut(), wanted.others["WNUT 2017 test"]),
    ):
        assert [(tuple(it.words), tuple(it.tags)) for it in found] == [it[:2] for it in sentences]


def test_korean_characters_are_read_alike():
    needs("klue-ner")
    wanted = klue.by_number(klue.parse(klue.DEV_SET.read().decode())).test
    assert [(one.words, one.tags) for one in splits.klue()] == [
        (list(one.words), list(one.tags)) for one in wanted
    ]


def test_sentences_that_are_read_on_are_those_that_training_joins():
    needs("ud-english-ewt")
    wanted = tagged.joined(conllu.parse(ewt.SOURCES["test"].read().decode()), 3)
    assert [(one.words, one.tags) for one in splits.read_on(splits.ewt(), 3)] == [
        (list(one.words), list(one.tags)) for one in wanted
    ]


def test_surnames_are_drawn_alike(held_out):
    needs("names-nationality")
    lines = held_out(names, "names-gru", "split")
    wanted, labels = names.shared_out(lines, RECIPES["names-gru"]().data.seed)["test"], list(lines)
    assert [(it.text, it.label) for it in splits.surnames()] == [
        (it.text, labels[it.label]) for it in wanted
    ]


def test_utterances_are_read_alike():
    needs("3i4k")
    wanted = intents.parse(intents.TEST.read())
    assert [(it.text, it.label) for it in splits.intents()] == [
        (it.text, intents.KINDS.labels[it.label]) for it in wanted
    ]


def test_sentences_on_films_are_read_alike():
    needs("sst2")
    wanted = sst2.parse(sst2.SOURCES["test"].read())
    assert [(it.text, it.label) for it in splits.sst2()] == [
        (it.text, LABELS[it.label]) for it in wanted
    ]


def test_requests_are_read_alike():
    needs("snips")
    _, wanted = snips.requests(snips.ARCHIVE.read())
    cutter = word_tokenizer([], "commands")
    for found, sentence in zip(requests.snips(), wanted, strict=True):
        spans = cutter.encode(found.text).offsets
        words = [found.text[first:last].lower() for first, last in spans]
        tags = found.tags([first for first, _ in spans])
        assert (found.intent, words, tags) == (
            sentence.label,
            list(sentence.words),
            list(sentence.tags),
        )


def test_what_is_held_out_of_the_transformer_is_the_same():
    needs("ett")
    data = RECIPES["etth1-lstm"]().data
    observed, [held] = data.load().series, series.etth1(*data.columns)
    assert (held.first, len(held.rows)) == observed.held_out
    np.testing.assert_array_equal(np.array(held.rows, np.float32), observed.rows[: len(held.rows)])
    np.testing.assert_allclose(held.scales, observed.scales, rtol=1e-5)


def test_streams_and_their_windows_are_those_that_training_knows(held_out):
    needs("nab")
    streams = held_out(nab, "nab-anomaly", "split")
    for place, (found, wanted) in enumerate(zip(series.nab(), streams, strict=True)):
        assert (found.windows, found.learned) == (wanted.windows, place % 2 == 0)
        np.testing.assert_array_equal(np.array(found.values, np.float32), wanted.rows[:, 0])


def test_words_and_analogies_are_those_that_training_measures():
    needs("word-similarity")
    english, korean = likeness.english(), likeness.korean()
    for read, wanted in (
        (word_sets.wordsim, english.pairs["WordSim-353"]),
        (word_sets.simlex, english.pairs["SimLex-999"]),
        (word_sets.questions, english.questions["questions-words"]),
        (word_sets.korean_wordsim, korean.pairs["kor_ws353"]),
        (word_sets.korean_semantic, korean.questions["kor_analogy_semantic"]),
        (word_sets.korean_syntactic, korean.questions["kor_analogy_syntactic"]),
    ):
        assert read() == wanted
        assert len(wanted) > 300


def test_passages_say_each_character_of_the_validation_text_once(held_out):
    needs("tinyshakespeare")
    validation = held_out(shakespeare, "shakespeare-rnn", "split")
    said = "".join(passage.text[passage.before :] for passage in texts.shakespeare())
    assert said == validation[int(len(validation) * 0.9) + 1 :]


def test_passages_say_each_character_of_the_long_test_texts_once():
    needs("war-and-peace")
    for found, data in (
        (texts.novel(), long_texts.Novel),
        (texts.kernel(), long_texts.KernelSource),
    ):
        said = "".join(passage.text[passage.before :] for passage in found)
        assert said == data(rows=1, length=1, seed=1).parts().test[1:]


def test_lines_say_each_word_of_the_encyclopedia_once():
    needs("wikitext-2")
    text = wikitext.FILES["test"].read().decode()
    assert sum(passage.words for passage in texts.wikitext()) == wikitext.words(text) == 245_569
