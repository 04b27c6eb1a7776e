from dataclasses import replace

import pytest

from stepwire_training.data import tokens
from stepwire_training.recipes import RECIPES, tiny, visible_cells


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_publishes_under_the_name_it_is_called_by_and_says_what_it_builds(name):
    assert RECIPES[name]().bundle == name
    assert RECIPES[name]().model.architecture


def test_the_novel_is_asked_for_its_line_ends_and_spaces():
    tokenizer = tokens.characters("Two words\non two lines.")

    assert tokenizer.token_to_id("\n") == visible_cells.LINE_END
    assert tokenizer.token_to_id(" ") == visible_cells.SPACE


def test_the_rate_rises_in_a_line_and_falls_to_its_end():
    recipe = replace(tiny.generator(), steps=100, warmup=0.1, learning_rate=1.0, final_rate=0.01)
    rates = [recipe.rate(step) for step in range(100)]

    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01, abs=0.001)


def test_a_second_lower_hill_leaves_the_first_as_it_was():
    once = replace(tiny.generator(), steps=100, learning_rate=1.0)
    twice = replace(once, steps=150, again=50)
    rates = [twice.rate(step) for step in range(150)]

    assert rates[:100] == [once.rate(step) for step in range(100)]
    assert max(rates[100:]) == pytest.approx(0.3)
    assert rates[-1] < 0.01


def test_words_for_the_card_make_no_other_run_but_settings_do():
    recipe = tiny.generator()
    reworded = replace(recipe, publication=replace(recipe.publication, about="Other words."))

    assert reworded.fingerprint() == recipe.fingerprint()
    assert replace(recipe, seed=2).fingerprint() != recipe.fingerprint()


def test_a_recipe_without_steps_is_refused():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        replace(tiny.generator(), steps=0)
