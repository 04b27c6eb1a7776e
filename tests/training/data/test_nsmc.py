from stepwire_training.data import nsmc
from stepwire_training.data.batches import Shard
from stepwire_training.data.nsmc import Review, Reviews

HEADING = "id\tdocument\tlabel\n"


def some(count: int, word: str) -> list[Review]:
    return [Review(f"{word} {number}", number % 2) for number in range(count)]


def test_a_file_is_read_line_by_line():
    content = f'{HEADING}1\t"굳 ㅋ\t1\n2\t\t0\n'

    assert nsmc.parse(content.encode()) == [Review('"굳 ㅋ', 1), Review("", 0)]


def test_a_review_that_is_also_in_the_test_split_is_dropped():
    train, test = [*some(20, "영화"), Review("둘 다", 1), Review("", 0)], [Review("둘 다", 1)]
    dataset = nsmc.split(train, test, Reviews(tokens="characters", rows=4, seed=1))

    assert dataset.facts["training reviews dropped as also in test"] == 1
    assert dataset.facts["training reviews dropped as empty"] == 1
    assert dataset.facts["training reviews"] + dataset.facts["dev reviews"] == 20


def test_an_empty_review_is_one_unknown_token():
    dataset = nsmc.split(some(20, "영화"), [Review("", 1)], Reviews(tokens="jamo", rows=4, seed=1))
    (tokens, lengths), targets, _ = dataset.test.batch(0, Shard())

    assert tokens.tolist() == [[dataset.tokenizer.token_to_id("<unk>")]]
    assert (lengths.tolist(), targets.tolist()) == ([1], [1])
