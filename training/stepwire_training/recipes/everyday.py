"""everyday-en-ko and everyday-ko-en: a demonstration on very little data."""

from stepwire_training.data.everyday import Everyday
from stepwire_training.data.parallel import Cutting
from stepwire_training.models.encoder import Encoder
from stepwire_training.models.translator import Translator
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

ABOUT = """\
**A demonstration.** It shows Korean going through the same path as the other languages, on very \
little data, most of it translated by a machine; do not expect translations to rely on. A \
bidirectional LSTM reads, a decoder of two LSTM layers with general attention writes (see \
multi30k-en-de)."""
TOKENS = """\
2,500 byte-pair tokens that both languages share, over NFC syllables, cased; decoding restores \
the text exactly. While training, tokens are taken apart at random into those they were merged \
from. Characters outside the vocabulary are unknown."""
SPLIT = """\
KorSTS keeps its official split (Korean train is machine translated, dev and test are by people); \
Tatoeba is split by its English sentences. A training pair that shares a sentence with a held-out \
one, in either language and from either source, is dropped. 400 sentences of KorSTS dev and 150 of \
Tatoeba choose the weights and the length penalty; 1,000 drawn from KorSTS test and 250 of Tatoeba \
are measured once. {bleu}"""
BLEU = {
    True: "BLEU into Korean counts characters (sacrebleu's `char`), not words: higher figures than "
    "those that count words, and not to be compared with them.",
    False: "BLEU counts words, as sacrebleu's 13a cuts them.",
}
CAVEATS = """\
Much: 13,700 pairs teach no language. Captions of everyday actions come out well; questions, \
news and longer sentences sound fluent and often say something else."""


def english_to_korean() -> Recipe:
    """Everyday sentences from English to Korean."""
    return _recipe(into_korean=True)


def korean_to_english() -> Recipe:
    """Everyday sentences from Korean to English."""
    return _recipe(into_korean=False)


def _recipe(*, into_korean: bool) -> Recipe:
    return Recipe(
        bundle="everyday-en-ko" if into_korean else "everyday-ko-en",
        publication=_publication(into_korean=into_korean),
        data=Everyday(
            into_korean=into_korean,
            cutting=Cutting(vocabulary=2_500, rows=64, take_apart=0.1, seed=1),
        ),
        model=Translator.Config(
            encoder=Encoder.Config(
                layers=1,
                hidden=192,
                embedding=192,
                token_dropout=0.05,
                embedding_dropout=0.2,
                layer_dropout=0.2,
                weight_dropout=0.1,
            ),
            layers=2,
            hidden=256,
            layer_dropout=0.25,
            output_dropout=0.25,
        ),
        steps=3_000,
        learning_rate=3e-3,
        weight_decay=0.02,
        label_smoothing=0.1,
        ema_decay=0.998,
        evaluate_every=250,
        seed=1,
    )


def _publication(*, into_korean: bool) -> Publication:
    way = "English sentences into Korean" if into_korean else "Korean sentences into English"
    return Publication(
        summary=f"A demonstration: everyday {way}, learned from 13,700 pairs.",
        about=ABOUT,
        tokens=TOKENS,
        split=SPLIT.format(bleu=BLEU[into_korean]),
        caveats=CAVEATS,
        published="none on this split",
        languages=("en", "ko") if into_korean else ("ko", "en"),
        sources=(
            Dataset(
                name="KorSTS, the Korean side: (c) Kakao Brain",
                licence="CC-BY-SA-4.0",
                home="https://github.com/kakaobrain/KorNLUDatasets",
            ),
            Dataset(
                name="STS benchmark, the English side",
                licence="mixed, by source of each text",
                home="https://ixa2.si.ehu.eus/stswiki/index.php/STSbenchmark",
            ),
            Dataset(
                name="Tatoeba English-Korean, 2022-09-06: tatoeba.org and manythings.org/anki",
                licence="CC-BY-2.0",
                home="https://www.manythings.org/anki/",
            ),
        ),
        limits=Limits(max_input_tokens=128, max_new_tokens=128),
        buckets=(4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
        half=True,
        licence="CC-BY-SA-4.0",
    )
