"""etth1-lstm and etth1-lstm-ot: a transformer's next 24 hours."""

from stepwire_training.data.ett import DAY, Transformer
from stepwire_training.data.series import Cut
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

LOADS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")
OIL = "OT"

PUBLICATION = Publication(
    summary="",
    about="",
    tokens="",
    split="",
    caveats="",
    published="",
    languages=(),
    sources=(Dataset(name="", licence="", home=""),),
    limits=Limits(max_input_tokens=8192),
)


def multivariate() -> Recipe:
    return Recipe(
        bundle="etth1-lstm",
        publication=PUBLICATION,
        data=Transformer(
            columns=(*LOADS, OIL), cut=Cut(rows=32, length=216, skip=48, horizon=DAY), seed=1
        ),
        model=Forecaster.Config(
            cell="lstm",
            layers=1,
            hidden=64,
            lags=48,
            memory=100.0,
            unit="constant",
            output_dropout=0.4,
            weight_dropout=0.2,
        ),
        steps=600,
        learning_rate=2e-3,
        weight_decay=0.1,
        ema_decay=0.99,
        evaluate_every=50,
        bf16=False,
    )


def oil_temperature() -> Recipe:
    return Recipe(
        bundle="etth1-lstm-ot",
        publication=PUBLICATION,
        data=Transformer(
            columns=(OIL,), cut=Cut(rows=32, length=216, skip=48, horizon=DAY), seed=1
        ),
        model=Forecaster.Config(
            cell="lstm",
            layers=1,
            hidden=64,
            lags=24,
            memory=100.0,
            unit="constant",
            output_dropout=0.4,
            weight_dropout=0.2,
        ),
        steps=1200,
        learning_rate=2e-3,
        weight_decay=0.1,
        ema_decay=0.99,
        evaluate_every=100,
        bf16=False,
    )
