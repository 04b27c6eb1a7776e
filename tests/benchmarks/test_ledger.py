import pytest
from benchmarks.ledger import Case, Ledger, percentile, spread

OURS = Case("generate", "2 streams", "stepwire")
BLOCKING = OURS._replace(subject="naive blocking")
EXECUTOR = OURS._replace(subject="naive executor")


@pytest.fixture
def ledger():
    ledger = Ledger()
    for ours, blocking, executor in [(10.0, 5.0, 4.0), (30.0, 10.0, 8.0), (4.0, 4.0, 9.0)]:
        ledger.add(OURS, {"tokens_per_s": ours})
        ledger.add(BLOCKING, {"tokens_per_s": blocking})
        ledger.add(EXECUTOR, {"tokens_per_s": executor})
    return ledger


def test_a_ratio_is_formed_within_a_round(ledger):
    ratio = ledger.ratio(OURS, BLOCKING, "tokens_per_s")
    assert (ratio.lowest, ratio.median, ratio.highest) == (1.0, 2.0, 3.0)


def test_the_better_case_has_the_better_median(ledger):
    cases = [BLOCKING, EXECUTOR]
    assert ledger.better(cases, "tokens_per_s", highest=True) == EXECUTOR
    assert ledger.better(cases, "tokens_per_s", highest=False) == BLOCKING


def test_one_outlier_does_not_move_the_figure():
    assert spread([1.0, 1.1, 50.0]).median == 1.1


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 5), (90, 9), (99, 10), (100, 10)])
def test_a_percentile_is_one_of_the_values(percent, value):
    assert percentile([10, 3, 1, 2, 4, 9, 8, 7, 6, 5], percent) == value
