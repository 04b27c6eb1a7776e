"""What holds of each place, shown below the text it holds of."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_training.cells.marks import (
    far_in_line,
    in_comment,
    in_condition,
    in_quotes,
    in_string,
)

CASES = [
    (in_quotes, 'He said, "Oh, no!" and left.', "         ########          "),
    (in_quotes, '"Go on\n\nHe', "#######   "),
    (in_quotes, '"One.\n\n"Two," he', "###### #####"),
    (partial(far_in_line, characters=3), "abcde\nab\n\nabcd", "  ###       ##"),
    (in_comment, "a /* b */ c // d\ne", "   #####     ### "),
    (in_comment, '"/* no */" /**/ x', "            ##   "),
    (in_comment, "/* never closed", " ##############"),
    (in_string, r'f("a\"b", "c"); // "d"', "  #####   ##          "),
    (in_string, '\'"\' "a"', "    ## "),
    (in_condition, "if (a && (b || c)) d();", "   ##############      "),
    (in_condition, "if\t/* x */ (a) else if (!b) (c)", "           ##          ###"),
    (in_condition, 'if (f(")")) return;', "   #######         "),
    (in_condition, "elif (a) ifx (b) #if (c)", "                     ## "),
]


@pytest.mark.parametrize(("rule", "text", "wanted"), CASES)
def test_a_mark_holds_where_it_is_drawn(rule, text, wanted):
    got = "".join("#" if mark else " " for mark in rule(text))
    assert got.rstrip() == wanted.rstrip()


@given(st.text(alphabet="\"'/*()if \n\\a", max_size=60))
@pytest.mark.parametrize("rule", [in_quotes, in_comment, in_string, in_condition])
def test_every_text_has_a_mark_for_each_place_and_none_depends_on_what_comes(rule, text):
    marks = rule(text)
    assert len(marks) == len(text)
    if rule is in_quotes:
        for cut in range(len(text)):
            assert rule(text[:cut]).tolist() == marks[:cut].tolist()
