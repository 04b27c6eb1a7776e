from stepwire_training.data.batches import Shard
from stepwire_training.data.shakespeare import Characters, split

TEXT = "".join(f"line {number}\n" for number in range(200))


def test_the_last_tenth_validates():
    dataset = split(TEXT, Characters(rows=2, length=8, seed=1))
    (tokens,), _, _ = dataset.test.batch(0, Shard())
    cut = int(len(TEXT) * 0.9)

    assert dataset.facts["training characters"] == cut
    assert dataset.tokenizer.decode(tokens[0].tolist()) == TEXT[cut : cut + 32]


def test_the_published_figure_reads_one_sequence_to_its_end():
    dataset = split(TEXT, Characters(rows=2, length=8, seed=1))
    chunks = [dataset.test.batch(step, Shard()) for step in range(len(dataset.test))]

    assert (
        sum(chunk.targets.numel() for chunk in chunks) == dataset.facts["validation characters"] - 1
    )
    assert [chunk.fresh for chunk in chunks] == [True] + [False] * (len(chunks) - 1)
