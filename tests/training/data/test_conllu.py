from stepwire_training.data.conllu import Sentence, parse

TWO = """\
# text = I don't, you do.
1\tI\tI\tPRON\t_\t_\t_\t_\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tdo\tdo\tAUX\t_\t_\t_\t_\t_\t_
3\tn't\tnot\tPART\t_\t_\t_\t_\t_\t_
4\t,\t,\tPUNCT\t_\t_\t_\t_\t_\t_
5\tyou\tyou\tPRON\t_\t_\t_\t_\t_\t_
5.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_
6\tdo\tdo\tAUX\t_\t_\t_\t_\t_\tSpaceAfter=No
7\t.\t.\tPUNCT\t_\t_\t_\t_\t_\t_

# 그
1\t그\t그\tDET\t_\t_\t_\t_\t그/mmd

"""


def test_words_have_whole_numbers_and_stand_as_they_were_written():
    first, second = parse(TWO)

    assert first.words == ("I", "do", "n't", ",", "you", "do", ".")
    assert first.tags == ("PRON", "AUX", "PART", "PUNCT", "PRON", "AUX", "PUNCT")
    assert first.text == "I don't, you do."
    assert second == Sentence(("그",), ("DET",), (True,))


def test_spans_are_where_the_words_stand():
    for sentence in parse(TWO):
        found = [sentence.text[first:last] for first, last in sentence.spans]
        assert found == list(sentence.words)


def test_line_ends_of_windows_are_read_alike():
    assert parse(TWO.replace("\n", "\r\n")) == parse(TWO)
