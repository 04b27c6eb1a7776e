"""shakespeare-rnn: the same model with plain tanh cells, to compare."""

from stepwire_training.data.shakespeare import Characters
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.recipe import Recipe
from stepwire_training.recipes.shakespeare import publication


def recipe() -> Recipe:
    """Characters of Shakespeare, two RNN layers of 256 units."""
    return Recipe(
        bundle="shakespeare-rnn",
        publication=publication("RNN", units=256),
        data=Characters(rows=64, length=128, seed=1),
        model=LanguageModel.Config(
            cell="rnn",
            layers=2,
            hidden=256,
            embedding=128,
            token_dropout=0.02,
            layer_dropout=0.1,
            output_dropout=0.1,
            weight_dropout=0.1,
        ),
        steps=2_000,
        learning_rate=2e-3,
        weight_decay=0.02,
        ema_decay=0.998,
        seed=1,
    )
