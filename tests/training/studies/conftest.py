"""A made-up text in place of Shakespeare's, so that no study needs a file."""

import pytest

from stepwire_training.data import shakespeare
from stepwire_training.data.tiny import make_reviews

TEXT = "".join(f"{review.text}.\n" for review in make_reviews(400, 1))


@pytest.fixture(autouse=True)
def made_up_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shakespeare.Characters, "load", lambda config: shakespeare.split(TEXT, config)
    )
