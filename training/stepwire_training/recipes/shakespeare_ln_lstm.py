"""shakespeare-ln-lstm: LSTM cells with normalised gates and memory, to compare."""

from dataclasses import replace

from stepwire_training.data.shakespeare import Characters
from stepwire_training.models.language_model import LanguageModel
from stepwire_training.recipe import Recipe
from stepwire_training.recipes.shakespeare import publication


def recipe() -> Recipe:
    """Characters of Shakespeare, two layer-normalised LSTM layers of 256 units."""
    return Recipe(
        bundle="shakespeare-ln-lstm",
        publication=replace(
            publication("layer-normalised LSTM", units=256),
            int8_matrices=True,
            eight_bits=False,  # the zoo has 250 MiB
        ),
        data=Characters(rows=64, length=64, seed=1),
        model=LanguageModel.Config(
            cell="ln-lstm",
            layers=2,
            hidden=256,
            embedding=128,
            layer_dropout=0.1,
            output_dropout=0.15,
            weight_dropout=0.05,
        ),
        steps=2_000,
        learning_rate=3e-3,
        warmup=0.07,
        weight_decay=0.02,
        ema_decay=0.997,
        evaluate_every=250,
        seed=1,
    )
