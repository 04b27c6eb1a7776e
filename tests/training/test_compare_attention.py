from stepwire_training import compare_attention, comparing
from stepwire_training.interrupt import Interrupt


def test_every_kind_is_compared_once_under_a_name_of_its_own():
    recipes = compare_attention.compared().values()

    assert {recipe.model.attention for recipe in recipes} == {"dot", "general", "additive"}
    assert len({recipe.bundle for recipe in recipes}) == len(recipes) == 4


def test_a_row_says_what_a_run_came_to(translator):
    row = compare_attention.measure("general", translator.recipe, translator.runs, Interrupt())
    progress = translator.training.progress

    assert row[0] == "general"
    assert row[3] == f"{progress.history[-1]['dev_bleu']:.1f}"
    assert (
        comparing.written(compare_attention.HEADING, [row])
        .splitlines()[0]
        .startswith("attention,parameters")
    )
