"""The recipes, one file per published bundle."""

from collections.abc import Callable

from stepwire_training.recipe import Recipe
from stepwire_training.recipes import (
    etth1,
    everyday,
    multi30k,
    nab_anomaly,
    ner_en,
    nsmc_bilstm,
    nsmc_lstm_stream,
    pos_en,
    pos_ko,
    shakespeare_gru,
    shakespeare_lstm,
    shakespeare_rnn,
    tatoeba,
    tiny,
)

RECIPES: dict[str, Callable[[], Recipe]] = {
    "shakespeare-lstm": shakespeare_lstm.recipe,
    "shakespeare-gru": shakespeare_gru.recipe,
    "shakespeare-rnn": shakespeare_rnn.recipe,
    "nsmc-bilstm": nsmc_bilstm.recipe,
    "nsmc-lstm-stream": nsmc_lstm_stream.recipe,
    "ner-en": ner_en.recipe,
    "pos-en": pos_en.recipe,
    "pos-ko": pos_ko.recipe,
    "multi30k-en-de": multi30k.english_to_german,
    "multi30k-en-fr": multi30k.english_to_french,
    "tatoeba-en-fr": tatoeba.recipe,
    "everyday-en-ko": everyday.english_to_korean,
    "everyday-ko-en": everyday.korean_to_english,
    "etth1-lstm": etth1.multivariate,
    "etth1-lstm-ot": etth1.oil_temperature,
    "nab-anomaly": nab_anomaly.recipe,
    "tiny": tiny.generator,
    "tiny-classifier": tiny.classifier,
    "tiny-attentive": tiny.attentive,
    "tiny-stream": tiny.stream,
    "tiny-tagger": tiny.tagger,
    "tiny-translator": tiny.translator,
    "tiny-forecaster": tiny.forecaster,
    "tiny-anomaly": tiny.anomaly,
}
