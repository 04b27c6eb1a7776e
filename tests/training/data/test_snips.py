import io
import json
import tarfile

import pytest

from stepwire_training.data import snips
from stepwire_training.data.conllu import Sentence


def a_file(intent, *requests):
    """Requests as the archive has them: parts, some with the name of a slot."""
    data = [
        {"data": [{"text": text, **({"entity": slot} if slot else {})} for text, slot in parts]}
        for parts in requests
    ]
    return json.dumps({intent: data}).encode()


def an_archive(**files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"engines/{name.split('_')[1]}/{name}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_words_are_tagged_by_the_part_that_they_stand_in():
    content = a_file(
        "GetWeather",
        [
            ("What's it like in ", None),
            ("New York", "city"),
            (", ", None),
            ("N.Y.", "state"),
            ("?", None),
        ],
    )
    [found] = snips.parse(content)

    assert found.words == ("what", "s", "it", "like", "in", "new", "york", "n.y")
    assert found.tags == ("O", "O", "O", "O", "O", "B-city", "I-city", "B-state")
    assert found.label == "GetWeather"


def test_a_slot_ends_where_its_part_does_though_no_space_stands_there():
    content = a_file(
        "BookRestaurant", [("at ", None), ("one pm", "timeRange"), ("near", "relation")]
    )
    [found] = snips.parse(content)

    assert found.words == ("at", "one", "pm", "near")
    assert found.tags == ("O", "B-timeRange", "I-timeRange", "B-relation")


def test_two_slots_of_one_kind_side_by_side_are_two():
    [found] = snips.parse(a_file("PlayMusic", [("Yes", "artist"), ("Can", "artist")]))

    assert found.tags == ("B-artist", "B-artist")


def test_bytes_that_are_no_text_are_left_out():
    broken = a_file("PlayMusic", [("Pop ?", "playlist")]).replace(b"?", b"\xed\xa0\xbc")
    [found] = snips.parse(broken)

    assert (found.words, found.tags) == (("pop",), ("B-playlist",))


def test_the_full_files_teach_and_the_validation_files_test():
    train, test = snips.requests(
        an_archive(
            train_A=a_file("A", [("small", None)]),
            train_A_full=a_file("A", [("full", None)], [("more", None)]),
            validate_A=a_file("A", [("test", None)]),
            train_B_full=a_file("B", [("other", None)]),
        )
    )

    assert [(s.words[0], s.label) for s in train] == [("full", "A"), ("more", "A"), ("other", "B")]
    assert [(s.words[0], s.label) for s in test] == [("test", "A")]


def test_as_many_of_every_intent_choose_and_always_the_same():
    every = [Sentence((str(n),), ("O",), (True,), "ABC"[n % 3]) for n in range(900)]
    kept, chosen = snips.held_out(every)

    assert [sum(s.label == label for s in chosen) for label in "ABC"] == [100] * 3
    assert sorted(kept + chosen) == sorted(every)
    assert snips.held_out(every) == (kept, chosen)


@pytest.mark.parametrize("words", [["It", "'s", "5", "o'clock", "."], ["it's 5 o'clock"]])
def test_other_text_is_cut_as_requests_are(words):
    assert snips.cut_again([words, []]) == [["it", "s", "5", "o", "clock"], []]
