"""Korean sentences with a tag for every character, and the text beside them."""

from stepwire_training.data.conllu import Sentence
from stepwire_training.data.klue import by_number, parse
from stepwire_training.data.korean_text import without

FILE = """## 컬럼명 : CHAR\tNE_TAG
## klue-ner-v1_dev_00018-nsmc\t<강리나:PS> 박사
강\tB-PS
리\tI-PS
나\tI-PS
 \tO
박\tO
사\tO

## klue-ner-v1_dev_00019-wikitree\t#<1월:DT>
#\tO
1\tB-DT
월\tI-DT
"""


def test_spaces_are_characters_and_the_text_is_theirs():
    found = parse(FILE)

    assert found.keys() == {18, 19}
    assert found[18].text == "강리나 박사"
    assert found[18].tags == ("B-PS", "I-PS", "I-PS", "O", "O", "O")
    assert found[19].words == ("#", "1", "월")


def test_the_last_digit_of_the_number_says_where_a_sentence_belongs():
    made = {n: Sentence((str(n),), ("O",), (False,)) for n in range(40)}
    parts = by_number(made)

    assert [s.text for s in parts.test] == ["9", "19", "29", "39"]
    assert [s.text for s in parts.dev] == ["8", "18", "28", "38"]
    assert len(parts.train) == 32


def test_texts_that_hold_a_hidden_sentence_are_dropped_however_they_are_spaced():
    texts = ["a b c.", "x, abc y", "ab", "c ab", "정말 재미 있다!", "재미"]

    assert without(texts, ["A", "ab c"]) == ["ab", "c ab", "정말 재미 있다!", "재미"]
    assert without(texts, ["재미있다", "", "!"]) == ["a b c.", "x, abc y", "ab", "c ab", "재미"]
    assert without(texts, []) == texts
