"""What published classifiers go by."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepwire_training import compare_kinds
from stepwire_training.data import nsmc
from stepwire_training.data.nsmc import Review
from stepwire_training.export import publish


@pytest.fixture(scope="module")
def bundle(classifier, tmp_path_factory):
    return publish(classifier.finished(), tmp_path_factory.mktemp("zoo"))


def test_texts_are_judged_as_the_model_judges_each_alone(bundle, classifier):
    rng = np.random.default_rng(0)
    size = bundle.manifest.tokenizer.vocabulary_size
    texts = [rng.integers(size, size=length) for length in rng.integers(1, 65, size=90)]
    model = classifier.finished().model()
    alone = [
        int(model(torch.from_numpy(text)[None], torch.tensor([len(text)]), ())[0].argmax())
        for text in texts
    ]

    assert compare_kinds.judged(bundle, texts).tolist() == alone


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=4))
def test_disorder_keeps_the_tokens_of_a_text(texts):
    mixed = compare_kinds.disordered([np.array(text, np.int64) for text in texts])
    assert [sorted(text) for text in mixed] == [sorted(text) for text in texts]


def test_a_row_tells_shares_by_length(bundle, monkeypatch):
    reviews = [Review(" ".join(["adores"] * 2), 1), Review(" ".join(["curses"] * 30), 1)]
    monkeypatch.setattr(nsmc, "parse", lambda content: reviews)
    monkeypatch.setattr(type(nsmc.TEST), "read", lambda source: b"")
    monkeypatch.setattr(compare_kinds, "LENGTHS", (20,))

    name, short, long, every, mixed = compare_kinds.row(bundle)
    [seconds] = compare_kinds.costs([bundle])
    assert 0 < seconds < 1
    assert (name, short, long, every) == ("tiny-classifier", "1.0000", "0.0000", "0.5000")
    assert mixed == every  # the same word all along
    assert compare_kinds.heading() == (
        *("bundle", "1 to 20 tokens", "from 21 tokens", "all", "all, tokens in disorder"),
        "CPU µs a text",
    )
