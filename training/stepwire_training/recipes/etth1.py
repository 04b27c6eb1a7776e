"""etth1-lstm and etth1-lstm-ot: the next 24 hours of an electricity transformer."""

from stepwire_training.data.ett import DAY, Transformer
from stepwire_training.data.series import Cut
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

LOADS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")  # high, middle, low; useful, useless
OIL = "OT"  # oil temperature

SPLIT = """\
Twelve months to learn from, four to choose the weights and settings, four to measure, once; a \
month has 30 days. These are the splits of the Informer paper, and so is the protocol: every \
window of 24 rows that lies whole in the test split (2,857 of them), squared and absolute errors \
in standard deviations of the training split, over all rows and columns of a window. What the \
model knows before a window is more than in the paper: it reads the series from its first row on, \
training and validation rows too, and carries its state; no window is read anew. The naive \
forecasts stand beside: on this series they are strong, and the figures published in \
that paper lie above the better of them."""

CAVEATS = """\
It knows one transformer in one climate. Its means move with the series, but the shape of a day \
is the one it learned. The spread is Gaussian and each value has its own: nothing is said of how \
errors hang together. After the first row nothing is known of yesterday; give it four days before \
you believe it. Columns must come in the order of the manifest, without gaps, an hour apart."""

SOURCE = Dataset(
    name="ETTh1, Electricity Transformer Dataset",
    licence="CC BY-ND 4.0",
    home="https://github.com/zhouhaoyi/ETDataset",
)


def publication(what: str, columns: str, remembered: str, published: str) -> Publication:
    """What a bundle says about itself.

    Args:
        what: is predicted.
        columns: a row, in words.
        remembered: what the linear map looks at.
        published: the figure of others.
    """
    return Publication(
        summary=f"{what}, the next 24 hours: an LSTM read one hour at a time.",
        about=f"""\
Reads hourly readings one row at a time and predicts, after each, the 24 rows that follow, with a \
spread for every value, and how surprising the row just read was. What it predicts is how they \
will differ from the row just read; what its layers read are differences too, to the row before \
and to the running mean, and a linear map beside them looks at {remembered}. So it does not mind \
that the level of the series drifts.""",
        tokens=columns,
        split=SPLIT,
        caveats=CAVEATS,
        published=published,
        languages=(),
        sources=(SOURCE,),
        limits=Limits(max_input_tokens=8_192),
    )


def multivariate() -> Recipe:
    """All seven readings, from all seven."""
    return Recipe(
        bundle="etth1-lstm",
        publication=publication(
            "Loads and oil temperature of an electricity transformer",
            "A row is seven readings of an hour, in the units of the file: high, middle and low "
            "useful and useless load (HUFL, HULL, MUFL, MULL, LUFL, LULL), and oil temperature "
            "(OT). All seven are predicted.",
            "the 96 rows before",
            "Zhou et al. (Informer, 2021): LSTMa 0.650, Informer 0.577",
        ),
        data=Transformer(
            columns=(*LOADS, OIL), cut=Cut(rows=16, length=216, skip=48, horizon=DAY), seed=1
        ),
        model=Forecaster.Config(
            cell="lstm",
            layers=1,
            hidden=64,
            lags=96,
            memory=100.0,
            unit="constant",
            output_dropout=0.5,
            weight_dropout=0.3,
        ),
        steps=500,
        learning_rate=2e-3,
        weight_decay=0.1,
        ema_decay=0.99,
        evaluate_every=50,
        bf16=False,
        seed=1,
    )


def oil_temperature() -> Recipe:
    """Oil temperature, from itself alone."""
    return Recipe(
        bundle="etth1-lstm-ot",
        publication=publication(
            "Oil temperature of an electricity transformer",
            "A row is one reading of an hour, the oil temperature in degrees Celsius (OT).",
            "the row before",
            "Zhou et al. (Informer, 2021): LSTMa 0.114, Informer 0.098",
        ),
        data=Transformer(
            columns=(OIL,), cut=Cut(rows=32, length=216, skip=48, horizon=DAY), seed=1
        ),
        model=Forecaster.Config(
            cell="lstm",
            layers=1,
            hidden=64,
            lags=1,
            memory=100.0,
            unit="constant",
            output_dropout=0.5,
            weight_dropout=0.2,
        ),
        steps=2_000,
        learning_rate=2e-3,
        weight_decay=0.1,
        ema_decay=0.99,
        evaluate_every=100,
        bf16=False,
        seed=1,
    )
