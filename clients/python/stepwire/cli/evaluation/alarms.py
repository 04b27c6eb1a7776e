"""How detectors of anomalies are scored: as the Numenta Anomaly Benchmark does.

The score itself is computed by the code that the card's figures come from,
`stepwire_training.nab_scoring`, which needs numpy; what it is given comes from the server.
"""

from collections.abc import Callable, Sequence
from typing import Any

from stepwire.cli.evaluation.scoring import Evaluation, Figure, Measured
from stepwire.cli.evaluation.series import Stream
from stepwire.cli.lines import InputError
from stepwire.client import Client

STREAMS_PER_CALL = 8  # of tens of thousands of rows each
UNIT = "labelled windows"
CHOOSING = "streams that chose the threshold"

Surprises = Sequence[float]  # of every row of a stream


def alarming(read: Callable[[], Sequence[Stream]]) -> Evaluation:
    """The benchmark's scores of alarms by surprise, and their threshold."""

    def checked() -> Sequence[Stream]:
        _scorer()  # what is missing is said before anything is read
        return read()

    def score(split: str, measure: Callable[..., Measured]) -> Figure:
        # An alarm more or less moves it by a twentieth of a point.
        name = "NAB score by surprise"
        return Figure(metric=name, split=split, unit=UNIT, measure=measure, tolerance=0.1)

    return Evaluation(
        read=checked,
        ask=surprises,
        figures=(
            score("streams held out, threshold from the others", of_unseen),
            score(CHOOSING, of_learned),
            score("all streams, threshold from all", of_all),
            Figure(metric="threshold of surprise", split=CHOOSING, unit=UNIT, measure=threshold),
        ),
        per_call=STREAMS_PER_CALL,
    )


def surprises(client: Client, model: str, examples: Sequence[Stream]) -> list[Surprises]:
    """How surprising each row of each stream is."""
    histories = [stream.values for stream in examples]
    found = client.forecast(model, histories, horizon=1, surprises=True)
    return [forecast.surprises for forecast in found]


def of_unseen(examples: Sequence[Stream], answers: Sequence[Surprises]) -> Measured:
    """The score of the streams held out, with the threshold that the others chose."""
    return _scored(_part(examples, answers, learned=False), _chosen(examples, answers))


def of_learned(examples: Sequence[Stream], answers: Sequence[Surprises]) -> Measured:
    """The score of the streams that chose the threshold."""
    return _scored(_part(examples, answers, learned=True), _chosen(examples, answers))


def of_all(examples: Sequence[Stream], answers: Sequence[Surprises]) -> Measured:
    """The score of all streams with the threshold that suits them best, as others publish it."""
    every = _alarms(list(zip(examples, answers, strict=True)))
    return _scored(every, _scorer().best_threshold(every))


def threshold(examples: Sequence[Stream], answers: Sequence[Surprises]) -> Measured:
    """The surprise from which on a row is an alarm."""
    chosen = _part(examples, answers, learned=True)
    return Measured(_scorer().best_threshold(chosen), chosen.count)


def _chosen(examples: Sequence[Stream], answers: Sequence[Surprises]) -> float:
    return threshold(examples, answers).value


def _part(examples: Sequence[Stream], answers: Sequence[Surprises], *, learned: bool) -> Any:
    pairs = zip(examples, answers, strict=True)
    return _alarms([(stream, found) for stream, found in pairs if stream.learned is learned])


def _alarms(streams: Sequence[tuple[Stream, Surprises]]) -> Any:
    """The rows that count.

    Raises:
        InputError: no window lies in these streams, as may happen in a small sample.
    """
    if not any(stream.windows for stream, _ in streams):
        raise InputError("streams must hold a labelled window, got none: take more of them")
    scorer = _scorer()
    return scorer.alarms(
        [(scorer.Labels(len(found), stream.windows), found) for stream, found in streams]
    )


def _scored(rows: Any, limit: float) -> Measured:
    return Measured(_scorer().scaled(rows, limit), rows.count)


def _scorer() -> Any:
    """The module that scores alarms.

    Raises:
        InputError: numpy is not installed.
    """
    try:
        from stepwire_training import nab_scoring
    except ImportError:
        raise InputError(
            "scores of alarms need numpy: pip install 'stepwire[evaluation]'"
        ) from None
    return nab_scoring
