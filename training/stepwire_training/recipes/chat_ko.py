"""chat-ko and chat-ko-transformer: answers to what is said, by two kinds of model."""

from stepwire_training.data.chat import Chat
from stepwire_training.data.parallel import Cutting
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.transformer_translator import TransformerTranslator
from stepwire_training.models.translator import Translator
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

CUTTING = Cutting(vocabulary=3_000, rows=64, take_apart=0.1, seed=1)


def recurrent() -> Recipe:
    """An LSTM that reads, and one that answers while it looks at what was read."""
    return Recipe(
        bundle="chat-ko",
        publication=_publication(),
        data=Chat(cutting=CUTTING),
        model=Translator.Config(
            encoder=Encoder.Config(
                layers=1,
                hidden=128,
                embedding=128,
                token_dropout=0.05,
                embedding_dropout=0.2,
                weight_dropout=0.1,
            ),
            layers=1,
            hidden=256,
            output_dropout=0.3,
        ),
        steps=3_000,
        learning_rate=3e-3,
        weight_decay=0.02,
        ema_decay=0.998,
        evaluate_every=150,
        seed=1,
    )


def transformer() -> Recipe:
    """A transformer that reads, and one with a window that answers."""
    return Recipe(
        bundle="chat-ko-transformer",
        publication=_publication(),
        data=Chat(cutting=CUTTING),
        model=TransformerTranslator.Config(
            embedding=128,
            encoder_layers=2,
            layers=2,
            heads=4,
            wide=256,
            window=24,
            embedding_dropout=0.2,
            layer_dropout=0.2,
        ),
        steps=3_000,
        learning_rate=2e-3,
        weight_decay=0.02,
        ema_decay=0.998,
        evaluate_every=150,
        seed=1,
    )


def _publication() -> Publication:
    return Publication(
        summary="",
        about="",
        tokens="",
        split="",
        caveats="",
        published="none on this split",
        languages=("ko",),
        sources=(
            Dataset(
                name="Chatbot_data for Korean",
                licence="MIT",
                home="https://github.com/songys/Chatbot_data",
            ),
        ),
        limits=Limits(max_input_tokens=64, max_new_tokens=64),
        buckets=(4, 8, 12, 16, 24, 32, 48, 64),
        half=True,
    )
