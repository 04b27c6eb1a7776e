import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwire_training.entity_scoring import entities, f1, mean_f1, mean_tag_f1

TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("O O", set()),
        ("B-PER I-PER O B-LOC", {("PER", 0, 2), ("LOC", 3, 4)}),
        ("B-PER B-PER", {("PER", 0, 1), ("PER", 1, 2)}),
        ("I-PER I-PER", {("PER", 0, 2)}),
        ("B-PER I-LOC", {("PER", 0, 1), ("LOC", 1, 2)}),
    ],
)
def test_entities_begin_and_end_where_the_tags_say(tags, wanted):
    assert entities(tags.split()) == wanted


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=8), min_size=1, max_size=4))
def test_figures_are_those_of_seqeval(sentences):
    seqeval = pytest.importorskip("seqeval.metrics")
    found = [[a for a, _ in sentence] for sentence in sentences]
    wanted = [[b for _, b in sentence] for sentence in sentences]
    if any(tag != "O" for sentence in [*found, *wanted] for tag in sentence):
        own = f1(found, wanted)
        assert own == pytest.approx(seqeval.f1_score(wanted, found, zero_division=0))
        mean = seqeval.f1_score(wanted, found, average="macro", zero_division=0)
        assert mean_f1(found, wanted) == pytest.approx(mean)


def test_every_tag_counts_alike_however_rare_it_is():
    found, wanted = [["O", "O", "B-PER", "O"]], [["O", "B-LOC", "B-PER", "O"]]

    assert mean_tag_f1(found, wanted) == pytest.approx((4 / 5 + 0 + 1) / 3)
    assert mean_f1(found, wanted) == pytest.approx((1 + 0) / 2)
