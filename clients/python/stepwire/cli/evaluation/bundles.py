"""How each bundle of the zoo is scored.

Another bundle is a line here and, where its split is new, a function in `splits`; another
kind of figure is a function in a module of its task.
"""

from stepwire.cli.evaluation.labelling import labelling, naming, tagging
from stepwire.cli.evaluation.scoring import Evaluation
from stepwire.cli.evaluation.splits import btc, ewt, gsd, kaist, nsmc, wnut

EVALUATIONS: dict[str, tuple[Evaluation, ...]] = {
    "ner-en": (naming(btc), naming(wnut, "WNUT 2017 test")),
    "nsmc-bilstm": (labelling(nsmc),),
    "nsmc-lstm-stream": (labelling(nsmc),),
    "pos-en": (tagging(ewt),),
    "pos-ko": (tagging(kaist), tagging(gsd, "GSD dev")),
}
