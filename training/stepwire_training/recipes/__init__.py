"""The recipes, one file per published bundle."""

from collections.abc import Callable

from stepwire_training.recipe import Recipe
from stepwire_training.recipes import (
    nsmc_bilstm,
    shakespeare_gru,
    shakespeare_lstm,
    shakespeare_rnn,
    tiny,
)

RECIPES: dict[str, Callable[[], Recipe]] = {
    "shakespeare-lstm": shakespeare_lstm.recipe,
    "shakespeare-gru": shakespeare_gru.recipe,
    "shakespeare-rnn": shakespeare_rnn.recipe,
    "nsmc-bilstm": nsmc_bilstm.recipe,
    "tiny": tiny.generator,
    "tiny-classifier": tiny.classifier,
}
