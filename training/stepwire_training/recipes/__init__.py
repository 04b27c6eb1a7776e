"""The recipes, one file per published bundle."""

from collections.abc import Callable

from stepwire_training.recipe import Recipe
from stepwire_training.recipes import (
    everyday,
    multi30k,
    nsmc_bilstm,
    nsmc_lstm_stream,
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
    "multi30k-en-de": multi30k.english_to_german,
    "multi30k-en-fr": multi30k.english_to_french,
    "tatoeba-en-fr": tatoeba.recipe,
    "everyday-en-ko": everyday.english_to_korean,
    "everyday-ko-en": everyday.korean_to_english,
    "tiny": tiny.generator,
    "tiny-classifier": tiny.classifier,
    "tiny-stream": tiny.stream,
    "tiny-translator": tiny.translator,
}
