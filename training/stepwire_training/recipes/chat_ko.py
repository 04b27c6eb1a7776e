"""chat-ko and chat-ko-transformer: answers to what is said, by two kinds of model."""

from stepwire_training.data.chat import Chat
from stepwire_training.data.parallel import Cutting
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.transformer_translator import TransformerTranslator
from stepwire_training.models.translator import Translator
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

ABOUT = """\
It is served as a translator is, by `Translate` and `Score`: a source is what was said, the target \
what is answered. It knows nothing of what was said before. Unless another way is asked for it \
answers with the likeliest token at every step."""
TOKENS = """\
2,000 byte-pair tokens that questions and answers share, over NFC syllables, cased; decoding \
restores the text exactly. Characters outside the vocabulary are unknown. An answer's end counts \
as a token, and as a character, in the figures above."""
SPLIT = """\
The data has no split of its own. Ours is by distinct question (case, punctuation and spacing \
aside): 500 for dev, which chose the weights by its loss, 500 for test, measured once. No held-out \
question is learned from. Answers cannot be held out so: one answer serves many questions that \
differ in a word, and about half of the test answers stand in a training pair as well ("answers of \
training"; the others are "new answers"). "Other questions" are the same answers, each behind the \
question of the pair before it: the distance to the first figure is what the question is worth. \
BLEU is not told: it would ask for the very words of one answer of many."""
CAVEATS = """\
Sense, knowledge, memory. 10,700 pairs of one script teach a tone and a stock of sentences: what \
comes out is fluent and often safe, and where the question is not like one of the script, beside \
the point. It advises on love and parting because the script does; it is no advice. docs/lectures/\
conversation.md shows the first ten answers of the test split, as they come."""

CUTTING = Cutting(vocabulary=2_000, rows=64, seed=1)


def recurrent() -> Recipe:
    """An LSTM that reads, and one that answers while it looks at what was read."""
    return Recipe(
        bundle="chat-ko",
        publication=_publication(
            "A bidirectional LSTM reads what is said, another LSTM answers and looks at it "
            "(general attention, Luong et al., 2015).",
            "chat-ko-transformer, of the same data and tokens",
        ),
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
        steps=4_000,
        learning_rate=4e-3,
        weight_decay=0.02,
        ema_decay=0.998,
        evaluate_every=250,
        seed=1,
    )


def transformer() -> Recipe:
    """A transformer that reads, and one with a window that answers."""
    return Recipe(
        bundle="chat-ko-transformer",
        publication=_publication(
            "A small transformer (Vaswani et al., 2017). Its decoder looks back over the last 24 "
            "tokens it wrote, so that its state has a fixed size; what it looks at of the question "
            "was computed once, with the question.",
            "chat-ko, an LSTM of the same data and tokens",
        ),
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
        evaluate_every=250,
        seed=1,
    )


def _publication(about: str, other: str) -> Publication:
    return Publication(
        summary="Answers what is said in Korean with a short, mostly kind sentence: a chat bot's "
        "script, learned.",
        about=f"{about} {ABOUT} Beside it stands {other}.",
        tokens=TOKENS,
        split=SPLIT,
        caveats=CAVEATS,
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
        eight_bits=False,  # two small bundles to be compared, in one precision
    )
