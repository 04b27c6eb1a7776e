import unicodedata

import pytest

from stepwire_training.data.words import character_tokenizer, review_tokenizer, word_tokenizer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't, you can't.", "I do n't , you ca n't ."),
        ("It's Bob\u2019s U.S. visa", "It 's Bob \u2019s U.S. visa"),
        ("We cannot; they've gone...", "We can not ; they 've gone ..."),
        ("o'clock well-known e-mail", "o'clock well - known e - mail"),
        ("See http://a.b/c?d=1, or x.y@z.com!!!", "See http://a.b/c?d=1 , or x.y@z.com !!!"),
        ("At 3:30 on 11/25/05 for $1,000.50", "At 3:30 on 11/25/05 for $ 1,000.50"),
        ("Mr. Smith (the 2nd) :) ", "Mr. Smith ( the 2nd ) :)"),
        ("50% of 5pm", "50 % of 5 pm"),
    ],
)
def test_english_is_cut_as_the_web_treebank_cuts(text, words):
    tokenizer = word_tokenizer([], "english")
    found = [text[first:last] for first, last in tokenizer.encode(text).offsets]

    assert found == words.split(" ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("나는 학교에 갔다.", "나는 학교에 갔다 ."),
        ("협의회(e-gima.com)가 1.2배", "협의회 ( e-gima.com ) 가 1.2배"),
        ("정말?! ㅋㅋㅋ", "정말 ? ! ㅋㅋㅋ"),
    ],
)
def test_korean_is_cut_at_spaces_and_marks(text, words):
    tokenizer = word_tokenizer([], "korean")
    found = [text[first:last] for first, last in tokenizer.encode(text).offsets]

    assert found == words.split(" ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # As the treebank has it, and as people write it.
        ("it 's n't a re imagining , mr deeds `", "it 's n't a re imagining , mr deeds"),
        ("Isn't it well-made? It\u2019s great!!", "Is n't it well made ? It \u2019s great ! !"),
        ("(An \u201codd\u201d one...) \U0001f3ac", "An \u201c odd \u201d one"),
        ("... - \U0001f44d\U0001f3fd", ""),
    ],
)
def test_reviews_are_cut_into_words_and_the_few_marks_that_their_corpora_have(text, words):
    tokenizer = review_tokenizer([text] * 9, 500)
    found = [text[first:last] for first, last in tokenizer.encode(text).offsets]

    assert found == words.split()


def test_quotes_and_apostrophes_are_looked_up_alike_however_they_are_written():
    tokenizer = review_tokenizer(['the film \'s "plot"'] * 9, 90)

    encoding = tokenizer.encode("\u201cfilm's\u201d ``film\u2019s''")
    assert encoding.tokens == ['\u2581"', "\u2581film", "\u2581's", '\u2581"'] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What's the weather, really?", "What s the weather really"),
        ("At 5 p.m. on 2/7/2021 (o\u2019clock!)", "At 5 p.m on 2/7/2021 o clock"),
        ("R&B & k-pop \u2013 a +1 for $5", "R&B & k-pop a +1 for $5"),
        ("\U0001f600 ?! ...", ""),
    ],
)
def test_commands_are_words_alone_as_they_are_said(text, words):
    tokenizer = word_tokenizer([], "commands")
    found = [text[first:last] for first, last in tokenizer.encode(text).offsets]

    assert " ".join(found) == words


def test_letters_of_commands_are_read_in_lower_case():
    assert character_tokenizer(["a", "é"], "commands").encode("AÉ").ids == [1, 2]
    assert character_tokenizer(["a", "é"], "tweets").encode("AÉ").ids == [3, 3]


def test_words_are_looked_up_in_lower_case_with_zeros_for_digits():
    tokenizer = word_tokenizer(["the", "00", "각"], "english")

    assert tokenizer.encode("THE 42 unheard").ids == [1, 2, 0]
    assert tokenizer.encode(unicodedata.normalize("NFD", "각")).ids == [3]


def test_every_character_is_one_token_and_none_is_the_padding():
    tokenizer = character_tokenizer(["a", "각"], "korean")

    assert tokenizer.encode("a각 ?").ids == [1, 2, 3, 3]
    assert tokenizer.encode(unicodedata.normalize("NFD", "각")).ids == [2]


def test_characters_may_be_words_and_white_space_is_one():
    tokenizer = word_tokenizer(["각", " ", "0", "i"], "characters")

    assert tokenizer.encode("각 7\u3000İ?").ids == [1, 2, 3, 2, 4, 0]
    assert [first for first, _ in tokenizer.encode("각 7\u3000İ?").offsets] == list(range(6))
