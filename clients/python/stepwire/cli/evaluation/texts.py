"""The texts that models of text are scored on."""

from stepwire.cli.evaluation.files import File
from stepwire.cli.evaluation.predicting import Passage, passages

SHAKESPEARE = File(
    path="tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


def shakespeare() -> list[Passage]:
    """The last tenth of the plays."""
    text = SHAKESPEARE.read().decode()
    return passages(text[int(len(text) * 0.9) :])
