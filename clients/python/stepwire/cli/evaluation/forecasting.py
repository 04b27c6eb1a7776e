"""How forecasters are scored: by how far what they predict lies off."""

from collections.abc import Callable, Iterator, Sequence

from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.cli.evaluation.series import Held
from stepwire.client import Client
from stepwire.messages import Outputs, SessionOptions

HORIZON = 24
ROWS_PER_STEP = 256  # in one message of a session
TOLERANCE = 1e-4  # of deviations, and squared ones
ERRORS: dict[str, Callable[[float], float]] = {"MSE": lambda off: off * off, "MAE": abs}
AHEAD = {f"{HORIZON} rows ahead": HORIZON, "one row ahead": 1}
# Nobody resumes this.
SESSION = SessionOptions(checkpoint_steps=0, window=4)

Predicted = Sequence[Sequence[float]]  # the next rows, one behind the other, after each row


def forecasting(read: Callable[[], Sequence[Held]]) -> Evaluation:
    """Errors of every window that lies in the rows held out, in deviations of those learned from.

    The model reads the series from its first row on, in a session, and what counts is what it
    predicts after each row that all the rows it predicts are held out behind.
    """
    figures = [_figure(error, ahead) for ahead in AHEAD for error in ERRORS]
    return Evaluation(read=read, ask=predictions, figures=tuple(figures))


def predictions(client: Client, model: str, examples: Sequence[Held]) -> list[Predicted]:
    """What the model predicts of each series."""
    return [_followed(client, model, series) for series in examples]


def _followed(client: Client, model: str, series: Held) -> Predicted:
    """What is predicted after the last row before those held out, and after each row behind."""
    known, end = series.first - 1, len(series.rows) - HORIZON
    with client.session(model, options=SESSION) as session:
        for _ in session.steps(_messages(series.rows[:known])):
            pass
        wanted = Outputs(every_step=True, values=True)
        steps = session.steps(_messages(series.rows[known:end]), outputs=wanted)
        return [step.values for stepped in steps for step in stepped.outputs]


def _messages(rows: Sequence[Sequence[float]]) -> Iterator[Sequence[Sequence[float]]]:
    for first in range(0, len(rows), ROWS_PER_STEP):
        yield rows[first : first + ROWS_PER_STEP]


def _figure(error: str, ahead: str) -> Figure:
    def measure(examples: Sequence[Held], answers: Sequence[Predicted]) -> Measured:
        pairs = zip(examples, answers, strict=True)
        off = [ERRORS[error](it) for held, answer in pairs for it in _off(held, answer, ahead)]
        return Measured.mean(sum(off), len(off))

    return Figure(
        metric=f"{error}, {ahead}",
        split="test",
        unit="values",
        measure=measure,
        tolerance=TOLERANCE,
    )


def _off(held: Held, answer: Predicted, ahead: str) -> Iterator[float]:
    """How far each predicted value lies off, in deviations."""
    for first, predicted in enumerate(answer, start=held.first):
        wanted = [value for row in held.rows[first : first + AHEAD[ahead]] for value in row]
        scales = held.scales * AHEAD[ahead]
        for guess, value, scale in zip(predicted, wanted, scales, strict=False):
            yield (guess - value) / scale
