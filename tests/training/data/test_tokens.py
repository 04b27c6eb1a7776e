import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwire_training.data import tokens

TEXT = "To be, or not to be:\n that is  the question\n"


@given(st.text(alphabet=sorted(set(TEXT))))
def test_characters_give_a_text_back_exactly(text):
    tokenizer = tokens.characters(TEXT)

    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_characters_come_in_order_and_the_unknown_last():
    tokenizer = tokens.characters("cab\n")

    assert [tokenizer.id_to_token(index) for index in range(5)] == ["\n", "a", "b", "c", "<unk>"]
    assert tokenizer.encode("a🙂b").ids == [1, 4, 2]


def test_the_name_of_the_unknown_is_text_like_any_other():
    tokenizer = tokens.characters("<unk>")

    assert len(tokenizer.encode("<unk>").ids) == len("<unk>")


@pytest.mark.parametrize("units", ["syllables", "jamo"])
def test_rare_characters_are_unknown(units):
    tokenizer = tokens.frequent_characters(["가가가나"], units, at_least=3)

    assert tokenizer.token_to_id("<unk>") in tokenizer.encode("나").ids
    assert tokenizer.decode(tokenizer.encode("가").ids).startswith(("가", "\u1100"))


def test_jamo_are_taken_apart_by_the_file_itself():
    tokenizer = tokens.frequent_characters(["한글"], "jamo", at_least=1)

    assert len(tokenizer.encode("한글").ids) == 6


def test_of_equally_rare_characters_the_same_are_kept_every_time(monkeypatch):
    monkeypatch.setattr(tokens, "ALPHABET", 6)
    texts = ["가가 나다라마바사아자차카타파하" * 2]
    found = {tokens.byte_pairs(texts, "syllables", 40).to_str() for _ in range(8)}

    assert len(found) == 1
    assert {"가", "나"} <= tokens.byte_pairs(texts, "syllables", 40).get_vocab().keys()


@pytest.mark.parametrize("units", ["syllables", "jamo"])
def test_byte_pairs_keep_words_and_mark_the_unknown(units):
    tokenizer = tokens.byte_pairs(["재미있는 영화"] * 9, units, 60)

    assert len(tokenizer.encode("재미있는 영화").ids) == 2
    assert tokenizer.token_to_id("<unk>") == tokenizer.get_vocab_size() - 1
    assert tokenizer.encode("재미있는 🙂").ids[-1] == tokenizer.token_to_id("<unk>")
