"""How each bundle of the zoo is scored.

Another bundle is a line here and, where its split is new, a function in `splits`; another
kind of figure is a function in a module of its task.
"""

from functools import partial

from stepwire.cli.evaluation.alarms import alarming
from stepwire.cli.evaluation.answering import answering
from stepwire.cli.evaluation.forecasting import forecasting
from stepwire.cli.evaluation.labelling import (
    labelling,
    naming,
    naming_characters,
    rarely_labelling,
    tagging,
)
from stepwire.cli.evaluation.likening import fitting, likening
from stepwire.cli.evaluation.pairs import korean_tatoeba, korsts, multi30k, tatoeba, turned
from stepwire.cli.evaluation.predicting import by_words, predicting
from stepwire.cli.evaluation.requests import snips
from stepwire.cli.evaluation.scoring import Evaluation
from stepwire.cli.evaluation.script import chat, elsewhere
from stepwire.cli.evaluation.series import etth1, nab
from stepwire.cli.evaluation.slots import filling
from stepwire.cli.evaluation.splits import (
    btc,
    ewt,
    gsd,
    intents,
    kaist,
    klue,
    nsmc,
    read_on,
    sst2,
    surnames,
    wnut,
)
from stepwire.cli.evaluation.texts import kernel, novel, shakespeare, wikitext
from stepwire.cli.evaluation.translating import translating
from stepwire.cli.evaluation.word_sets import (
    korean_semantic,
    korean_syntactic,
    korean_wordsim,
    questions,
    simlex,
    wordsim,
)

_OIL = "OT"
_LOADS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")


def _captions(into: str) -> tuple[Evaluation, ...]:
    """Both official test splits of Multi30k."""
    splits = ("test_2016", "test_2017")
    return tuple(e for name in splits for e in translating(partial(multi30k, into, name), name))


def _english_words(*, parts: bool = False) -> tuple[Evaluation, ...]:
    """What vectors of English words are compared on."""
    return (
        likening(wordsim, "WordSim-353", parts=parts),
        likening(simlex, "SimLex-999", parts=parts),
        fitting(questions, "questions-words"),
    )


EVALUATIONS: dict[str, tuple[Evaluation, ...]] = {
    "chat-ko": answering(chat, elsewhere),
    "chat-ko-transformer": answering(chat, elsewhere),
    "etth1-lstm": (forecasting(partial(etth1, *_LOADS, _OIL)),),
    "etth1-lstm-ot": (forecasting(partial(etth1, _OIL)),),
    "everyday-en-ko": (
        *translating(korsts, "korsts test", cut="char"),
        *translating(korean_tatoeba, "tatoeba test", cut="char"),
    ),
    "everyday-ko-en": (
        *translating(lambda: turned(korsts()), "korsts test"),
        *translating(lambda: turned(korean_tatoeba()), "tatoeba test"),
    ),
    "intent-ko": (rarely_labelling(intents),),
    "linux-kernel-lstm": (predicting(kernel, "test"),),
    "multi30k-en-de": _captions("de"),
    "multi30k-en-fr": _captions("fr"),
    "names-gru": (rarely_labelling(surnames),),
    "nab-anomaly": (alarming(nab),),
    "ner-en": (naming(btc), naming(wnut, "WNUT 2017 test")),
    "ner-ko": (naming_characters(klue),),
    "nsmc-bayes": (labelling(nsmc),),
    "nsmc-bilstm": (labelling(nsmc),),
    "nsmc-cnn": (labelling(nsmc),),
    "nsmc-gru": (labelling(nsmc),),
    "nsmc-ln-lstm": (labelling(nsmc),),
    "nsmc-lstm": (labelling(nsmc),),
    "nsmc-lstm-stream": (labelling(nsmc),),
    "nsmc-rnn": (labelling(nsmc),),
    "nsmc-skipgram": (
        likening(korean_wordsim, "kor_ws353", parts=True),
        fitting(korean_semantic, "kor_analogy_semantic"),
        fitting(korean_syntactic, "kor_analogy_syntactic"),
    ),
    "nsmc-transformer": (labelling(nsmc),),
    "pos-en": (tagging(ewt),),
    "pos-en-stream": (
        tagging(ewt),
        tagging(lambda: read_on(ewt(), 3), "test, 3 sentences a text"),
    ),
    "pos-ko": (tagging(kaist), tagging(gsd, "GSD dev")),
    "shakespeare-gru": (predicting(shakespeare, "validation"),),
    "shakespeare-ln-lstm": (predicting(shakespeare, "validation"),),
    "shakespeare-lstm": (predicting(shakespeare, "validation"),),
    "shakespeare-ngram": (predicting(shakespeare, "validation"),),
    "shakespeare-rnn": (predicting(shakespeare, "validation"),),
    "shakespeare-transformer": (predicting(shakespeare, "validation"),),
    "slots-en": (filling(snips),),
    "sst2-bilstm": (labelling(sst2),),
    "tatoeba-en-fr": translating(tatoeba, "test"),
    "war-and-peace-lstm": (predicting(novel, "test"),),
    "wikitext2-lstm": (by_words(wikitext, "test"),),
    "wikitext2-cbow": _english_words(),
    "wikitext2-glove": _english_words(),
    "wikitext2-skipgram": _english_words(parts=True),
}
