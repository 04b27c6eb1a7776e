"""nab-anomaly: how surprising the next value of a stream is, whatever the stream."""

from stepwire_training.data.nab import Anomalies
from stepwire_training.data.series import Cut
from stepwire_training.models.forecaster import Forecaster
from stepwire_training.recipe import Publication, Recipe
from stepwire_zoo.manifest import Dataset, Limits

PUBLICATION = Publication(
    summary="Scores how surprising each value of a stream is: one LSTM for streams of any scale.",
    about="""\
Reads a stream one value at a time, predicts the next with a spread, and says of each how many \
nats it cost given what was expected. It was never told the scale of a stream: running mean and \
variance are states, beside those of the LSTM, and everything is read and predicted in running \
deviations. So a stream of bytes a second and one of degrees are served by the same weights, and \
one threshold serves both.""",
    tokens="""\
A row is one value, in the units of the stream; rows are read at whatever interval they come. \
There is no score for the first eight. Mean and variance are plain ones over the first 6,000 rows; \
from there on each new row weighs as much as one in 6,000.""",
    split="""\
Scored as the benchmark prescribes (Lavin and Ahmad, Evaluating Real-time Anomaly Detection \
Algorithms, 2015): every file from its first row on, the first 15 % of it (750 rows at most) not \
counted, the windows of `combined_windows.json`, sigmoidal weights, the standard profile (a false \
alarm weighs 0.11), 0 for silence and 100 for perfection; one threshold for all files. The score \
of a row is the graph's `score` as it is, not smoothed and not ranked. The scorer is our own, \
written from the paper; with the benchmark's windowed Gaussian detector it gives 40.1 for the \
whole corpus, published are 39.6.

Of the 58 files in the order of their names (folder, then file) the first, third and so on, 29 of \
them, were learned from, without their labels: three in four for the weights, every fourth to \
choose among them. The labels of these 29 chose the threshold, the least spread and the memory of \
the mean. The other 29 were measured once, at the end, with that threshold: the first figure. The \
figure for all files with a threshold chosen on all is what the benchmark publishes of others, but \
half of these files were learned from. Beside each stands the plainest detector, how many \
deviations a value lies off the mean of the 6,400 before it, under the same rules.""",
    caveats="""\
It is a plain detector: over all 58 files it earns no more than deviations from the mean do, \
ahead of them on the files held out and behind them on the others, and far less than detectors \
made for the benchmark. It knows what a value costs, not what it means: a maintenance window is \
as strange to it as a failure. The spread is a cautious one, never below one running deviation of \
the stream, because a stream's quiet stretches make nothing strange of its ordinary noise; so it \
is too wide for a forecast. An anomaly that shows only in the shape of several ordinary values \
passes unseen, and so does the second half of a long one, once the running mean has followed. The \
first hundred rows teach it the scale: expect false alarms in them.""",
    published=(
        "windowed Gaussian 39.6, Numenta HTM 70.5 to 69.7, on the scoreboard of "
        "github.com/numenta/NAB"
    ),
    languages=(),
    sources=(
        Dataset(
            name="Numenta Anomaly Benchmark",
            licence="MIT",
            home="https://github.com/numenta/NAB",
        ),
    ),
    limits=Limits(max_input_tokens=8_192),
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
            memory=6_000.0,
            unit="running",
            output_dropout=0.1,
            least_spread=1.0,
            outlier=10.0,
        ),
        steps=400,
        learning_rate=3e-3,
        weight_decay=0.01,
        ema_decay=0.99,
        evaluate_every=50,
        bf16=False,
        seed=1,
    )
