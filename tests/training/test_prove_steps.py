"""What a bundle keeps of the proof of a step graph."""

import numpy as np
import pytest

from stepwire_training.prove_steps import FEWEST_STEPS, MOST_LOGITS, kept
from stepwire_zoo.golden import GoldenCase


@pytest.mark.parametrize(
    ("vocabulary", "rows", "steps"),
    [(66, 4, 48), (2_000, 4, 32), (33_278, 1, 7), (500_000, 1, FEWEST_STEPS)],
)
def test_the_larger_a_vocabulary_is_the_fewer_places_are_kept(vocabulary, rows, steps):
    tokens = np.arange(4 * 48).reshape(4, 48)
    logits = np.broadcast_to(np.float32(tokens)[:, :, None], (4, 48, vocabulary))
    case = kept(GoldenCase({"token": tokens}, {"logits": logits}))

    assert case.outputs["logits"].shape == (rows, steps, vocabulary)
    assert np.array_equal(case.outputs["logits"][:, :, 0], case.inputs["token"])
    assert case.outputs["logits"].size <= MOST_LOGITS or rows == 1
