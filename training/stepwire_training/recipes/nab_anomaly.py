"""nab-anomaly: how surprising a stream's next value is, for streams of any kind."""

from stepwire_training.data.nab import Anomalies
from stepwire_training.data.series import Cut
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

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


def recipe() -> Recipe:
    """Half of the benchmark's streams, one LSTM layer of 64 units."""
    return Recipe(
        bundle="nab-anomaly",
        publication=PUBLICATION,
        data=Anomalies(cut=Cut(rows=64, length=256, skip=8, horizon=1), seed=1),
        model=Forecaster.Config(
            cell="lstm",
            layers=1,
            hidden=64,
            lags=8,
            memory=1000.0,
            unit="running",
            output_dropout=0.1,
            outlier=10.0,
        ),
        steps=800,
        learning_rate=3e-3,
        weight_decay=0.01,
        ema_decay=0.99,
        evaluate_every=100,
        bf16=False,
    )
