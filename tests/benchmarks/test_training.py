"""Both training loops in turns, on a recipe small enough for a test."""

import pytest
from benchmarks.ledger import Case, Ledger
from benchmarks.plan import Plan
from benchmarks.training import Seconds, in_turns, measure_training, ratios


def test_every_round_has_both_loops():
    told = []
    in_turns("tiny", 2, 3, told.append)

    assert len(told) == 3
    for values in told:
        assert values.keys() == {"ours", "bare"}
        assert all(rate > 0 for rates in values.values() for rate in rates.values())


def test_ratios_are_formed_within_a_round(tmp_path):
    plan, ledger = Plan(repository=tmp_path), Ledger()
    for ours, bare in ((9.0, 10.0), (4.0, 5.0), (19.0, 20.0)):
        for subject, rate in (("ours", ours), ("bare", bare)):
            values = {"steps_per_s": rate, "steps_per_cpu_s": rate}
            ledger.add(Case("training", plan.recipe, subject), values)

    assert ratios(plan, ledger)["training_vs_bare"].median == 0.9
    assert ratios(plan, Ledger()) == {}


def test_what_comes_seldom_is_charged_by_its_share():
    took = Seconds(wall=4.0, cpu=2.0).plus(0.5, Seconds(wall=2.0, cpu=1.0))

    assert took.rates(10) == {"steps_per_s": 2.0, "steps_per_cpu_s": 4.0}


def test_a_loop_that_ends_early_is_no_figure(tmp_path):
    plan = Plan(repository=tmp_path, recipe="no-such-recipe")

    with pytest.raises(RuntimeError, match=r"no-such-recipe.* ended early"):
        measure_training(plan, Ledger(), lambda what: None)
