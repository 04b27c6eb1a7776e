"""The figures of published bundles, one of each kind, made by `stepwire evaluate`."""

import pytest

from e2e.conftest import zoo_served
from support.evaluating import evaluate

GENERATOR, FORECASTER = "shakespeare-rnn", "etth1-lstm-ot"
ALARMS, TRANSLATOR = "nab-anomaly", "tatoeba-en-fr"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    with zoo_served(folder, GENERATOR, FORECASTER, ALARMS, TRANSLATOR) as address:
        yield address


def test_a_text_scored_in_passages_costs_what_it_costs_as_one_sequence(address):
    code, [told] = evaluate(address, GENERATOR, needs="tinyshakespeare")
    assert (code, told["precision"], told["count"]) == (0, "int8", 111_539)
    assert told["value"] == pytest.approx(told["card"], abs=2e-4)


def test_a_series_is_predicted_as_well_as_in_training(address):
    code, told = evaluate(address, FORECASTER, needs="ett")
    assert (code, [figure["count"] for figure in told]) == (0, [68_568, 68_568, 2_857, 2_857])
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=1e-5)


def test_a_sample_of_sentences_is_translated_about_as_well_as_all_of_them(address):
    code, told = evaluate(address, TRANSLATOR, "--sample", "64", needs="tatoeba-eng-fra")
    assert (code, [figure["count"] for figure in told]) == (0, [64] * 4)
    for figure in told:
        assert figure["value"] == pytest.approx(figure["card"], abs=10)


def test_alarms_of_some_streams_are_scored(address):
    code, told = evaluate(address, ALARMS, "--sample", "3", needs="nab")
    *scores, threshold = told
    assert code == 0
    assert all(figure["value"] <= 100 for figure in scores)
    assert threshold["value"] > 0
