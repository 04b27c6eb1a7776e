"""The figures of a model that judges a text while it is read: at its end, and before."""

from stepwire_training.data.along import QUARTERS, AskedAlong
from stepwire_training.evaluate import evaluate
from stepwire_training.models.network import Network
from stepwire_zoo.manifest import Metric


def measure_along(model: Network, test: AskedAlong, published: str) -> tuple[Metric, ...]:
    """Reads the test split once for each quarter.

    Args:
        model: the trained model.
        test: the split, asked anywhere.
        published: a figure to set beside the accuracy at the end.

    Returns:
        What counts at the end of the texts, then the shares that are right before it.
    """
    *before, end = QUARTERS
    at_end = evaluate(model, test.asked(end))
    return (
        _accuracy(at_end.accuracy, "test", published),
        Metric(name="loss", value=at_end.loss, unit="nats per text", split="test"),
        *(
            _accuracy(
                evaluate(model, test.asked(after)).accuracy,
                f"test, after {after:.0%} of the tokens".replace("%", " %"),
            )
            for after in reversed(before)
        ),
    )


def _accuracy(value: float, split: str, published: str = "") -> Metric:
    return Metric(name="accuracy", value=value, unit="share", split=split, published=published)
