"""How cosines and analogies become figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire import Analogy, EmbeddedWord, Embedding, Neighbor, VectorOrigin
from stepwire.cli.evaluation.likening import (
    Fitted,
    Liked,
    added,
    cosine,
    coverage,
    fitted,
    liked,
    multiplied,
    ranks,
    spearman,
)
from stepwire.cli.evaluation.word_sets import Four, Likeness
from stepwire.cli.lines import InputError
from stepwire_training import measure_vectors

PAIRS = [Likeness("a", "b", 9.0), Likeness("a", "c", 5.0), Likeness("a", "d", 1.0)]


class FakeClient:
    """Knows three words and a part, and always answers "queen"."""

    def __init__(self):
        self.asked = []

    def embed(self, model, words):
        vectors = {"king": (1.0, 0.0), "man": (0.6, 0.8), "queen": (0.0, 2.0), "kings": (1.0, 0.0)}
        origins = {"kings": VectorOrigin.SUBWORDS}
        return [
            Embedding(
                vector=vectors.get(word.lower(), ()),
                words=(EmbeddedWord(text=word, origin=self._origin(word, vectors, origins)),),
            )
            for word in words
        ]

    def analogies(self, model, questions, *, k, multiply):
        self.asked += questions
        best = "queen" if not multiply else "man"
        answers = (Neighbor(word=best, score=1.0),)
        return [Analogy(answers=answers, words=()) for _ in questions]

    def _origin(self, word, vectors, origins):
        default = VectorOrigin.WORD if word.lower() in vectors else VectorOrigin.NONE
        return origins.get(word, default)


def test_pairs_are_compared_by_what_the_server_gives():
    pairs = [
        Likeness("king", "man", 7.0),
        Likeness("king", "kings", 9.0),
        Likeness("king", "nobody", 1.0),
    ]
    assert liked(FakeClient(), "m", pairs) == [
        Liked(pytest.approx(0.6), True),
        Liked(pytest.approx(1.0), False),
        Liked(None, False),
    ]


def test_only_analogies_of_known_words_are_asked():
    client = FakeClient()
    fours = [
        Four("man", "king", "man", "Queen"),
        Four("man", "king", "nobody", "queen"),
        Four("man", "kings", "man", "queen"),
        Four("man", "king", "queen", "man"),
    ]
    assert fitted(client, "m", fours) == [
        Fitted(True, True, False),
        Fitted(False),
        Fitted(False),
        Fitted(True, False, True),
    ]
    assert [(it.positive, it.negative) for it in client.asked[:2]] == [
        (["king", "man"], ["man"]),
        (["king", "queen"], ["man"]),
    ]
    assert fitted(client, "m", fours[1:2]) == [Fitted(False)]


def test_unknown_words_count_only_where_they_are_meant_to():
    answers = [Liked(0.9, True), Liked(0.5, True), Liked(0.7, False)]
    assert spearman(PAIRS, answers, known_alone=True) == (pytest.approx(1.0), 2)
    assert spearman(PAIRS, answers, known_alone=False) == (pytest.approx(0.5), 3)
    assert coverage(PAIRS, answers) == (pytest.approx(2 / 3), 3)


def test_too_few_pairs_have_no_figure():
    with pytest.raises(InputError, match="pairs with vectors must be at least 2, got 1"):
        spearman(
            PAIRS, [Liked(0.9, True), Liked(None, False), Liked(None, False)], known_alone=True
        )


def test_analogies_count_where_all_words_are_known():
    answers = [Fitted(True, True, False), Fitted(True, False, False), Fitted(False)]
    assert added([], answers) == (0.5, 2)
    assert multiplied([], answers) == (0.0, 2)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20))
def test_it_is_the_correlation_that_training_computes(values):
    found, wanted = (np.array(column, float) for column in zip(*values, strict=True))
    assert ranks(found.tolist()) == measure_vectors.ranks(found).tolist()
    if len(set(found)) > 1 and len(set(wanted)) > 1:
        pairs = [Likeness("a", "b", score) for score in wanted]
        answers = [Liked(value, True) for value in found]
        value, _ = spearman(pairs, answers, known_alone=True)
        assert value == pytest.approx(measure_vectors.spearman(found, wanted), abs=1e-9)


def test_a_cosine_does_not_mind_lengths():
    assert cosine((3.0, 4.0), (30.0, 40.0)) == pytest.approx(1.0)
    assert cosine((1.0, 0.0), (0.0, 5.0)) == 0.0
