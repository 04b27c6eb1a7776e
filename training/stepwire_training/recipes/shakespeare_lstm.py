"""shakespeare-lstm: the zoo's main generator."""

from stepwire_training.data.shakespeare import Characters
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.recipe import Recipe
from stepwire_training.recipes.shakespeare import publication


def recipe() -> Recipe:
    """Characters of Shakespeare, two LSTM layers of 512 units."""
    return Recipe(
        bundle="shakespeare-lstm",
        publication=publication("LSTM", units=512),
        data=Characters(rows=64, length=128, seed=1),
        model=LanguageModel.Config(
            cell="lstm",
            layers=2,
            hidden=512,
            embedding=128,
            token_dropout=0.1,
            layer_dropout=0.4,
            output_dropout=0.4,
            weight_dropout=0.4,
            locked=True,
        ),
        steps=5_000,
        learning_rate=3e-3,
        weight_decay=0.05,
        ema_decay=0.998,
        seed=1,
    )
