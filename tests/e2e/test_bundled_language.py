"""The zoo's models of language that are here to be looked into, served as a user gets them."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import stepwire
from e2e.conftest import zoo_served
from stepwire_training.cells.marks import far_in_line, in_comment, in_quotes

LECTURES = Path(__file__).parents[2] / "docs/lectures"
NOVEL, KERNEL, WORDS = "war-and-peace-lstm", "linux-kernel-lstm", "wikitext2-lstm"
SPOKEN = """\
"I do not believe it," said Pierre, looking at her over his spectacles as if
he were waiting for somebody.

The princess smiled. "You will see, my dear," she answered, "that it is so."

Nobody spoke for a long while, and the old prince went slowly back to his
study.
"""
CODE = """\
/*
 * Wake up the first waiter, if there is one, and tell it what was found.
 */
static int wake_first(struct list_head *head)
{
	if (list_empty(head))
		return 0; /* nobody waits */
	return 1;
}
"""
ARTICLE = "The island of Jersey is a crown dependency near the coast of Normandy , France ."


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        zoo_served(tmp_path_factory.mktemp("zoo"), NOVEL, KERNEL, WORDS, max_rows=32) as address,
        stepwire.Client(address) as client,
    ):
        yield client


def cell_of(name: str, mark: str) -> int:
    """The cell that the lecture names."""
    with (LECTURES / f"cells_{name}.csv").open() as file:
        return next(int(line["cell"]) for line in csv.DictReader(file) if line["mark"] == mark)


@pytest.mark.parametrize(
    ("name", "mark", "rule", "text"),
    [
        (NOVEL, "inside quotes", in_quotes, SPOKEN),
        (
            NOVEL,
            "40 or more characters into the line",
            partial(far_in_line, characters=40),
            SPOKEN,
        ),
        (KERNEL, "inside a comment", in_comment, CODE),
    ],
)
def test_a_cell_that_the_lecture_names_follows_what_it_says(client, name, mark, rule, text):
    asked = stepwire.Outputs(hidden_units=[cell_of(name, mark)], every_step=True)
    with client.session(name) as session:
        step = session.step(text, outputs=asked)
    memory = np.array([each.hidden[0] for each in step.outputs])
    marked = rule(text)

    # The best threshold for this text alone tells most of its characters apart.
    thresholds = np.unique(memory)
    right = [np.mean((memory > at) == marked) for at in thresholds]
    assert max(*right, *(1 - share for share in right)) > 0.9


def test_words_that_were_read_lately_cost_less_when_they_come_again(client):
    words = len(ARTICLE.split())
    [once], [twice] = client.score(WORDS, [ARTICLE]), client.score(WORDS, [f"{ARTICLE} {ARTICLE}"])
    costs = [-token.logprob for token in twice.tokens]
    first, second = costs[:words], costs[words:]

    assert first == pytest.approx([-token.logprob for token in once.tokens], abs=1e-4)
    assert sum(second) < sum(first) - 10


def test_a_session_with_a_cache_goes_on_from_its_token(client):
    head, tail = ARTICLE.split(" crown ")
    asked = stepwire.Outputs(top_k=3)
    with client.session(WORDS) as session:
        session.step(head)
        token = session.export()
        whole = session.step(tail, outputs=asked)
    with client.session(WORDS, state_token=token) as session:
        assert session.step(tail, outputs=asked).last == whole.last
