import numpy as np
import pytest

from stepwire_training.data.batches import PADDING, Shard
from stepwire_training.data.corpus import Corpus
from stepwire_training.data.windows import Beside, Windows, kept_share

IDS = np.array([1, 2, 3, 4, 5, 6, 7, 8])
OWNERS = np.array([0, 0, 0, 0, 0, 1, 1, 1])
CORPUS, COUNTS = Corpus(IDS, OWNERS), np.array([0, *[1] * 8])


def windows(*, fixed=False, corpus=CORPUS, counts=COUNTS, **settings):
    shape = {"telling": "around", "window": 2, "thin": 0.0, "rows": 4, "sharing": 2}
    config = Beside(**{**shape, **settings})
    return Windows(corpus, counts, config, fixed=fixed)


def beside(word):
    """Every word at most two places away in the same text."""
    place = word - 1
    near = [other for other in range(place - 2, place + 3) if 0 <= other < 8 and other != place]
    return {int(IDS[other]) for other in near if OWNERS[other] == OWNERS[place]}


def told(batch):
    """The pairs of a batch of skip-gram."""
    read, around, _ = (part.tolist() for part in batch.inputs)
    return [(a, b) for (a,), row in zip(read, around, strict=True) for b in row if b != PADDING]


def test_the_words_around_a_word_are_of_its_own_text():
    reader = windows()
    pairs = {pair for step in range(60) for pair in told(reader.batch(step, Shard()))}
    assert pairs == {(word, other) for word in IDS.tolist() for other in beside(word)}


def test_a_pass_reads_every_position_once():
    reader = windows()
    read = [reader.batch(step, Shard()).inputs[0] for step in range(len(reader))]
    assert sorted(np.concatenate(read)[:, 0]) == IDS.tolist()


def test_a_bag_of_words_holds_the_same_the_other_way_round():
    around, centre = windows(), windows(telling="centre")
    for step in range(6):
        read, beside_it, noise = around.batch(step, Shard()).inputs
        bag, word, other_noise = centre.batch(step, Shard()).inputs
        assert (bag == beside_it).all()
        assert (noise == other_noise).all()
        lonely = (beside_it == PADDING).all(dim=1)
        assert (word[~lonely] == read[~lonely]).all()
        assert (word[lonely] == PADDING).all()


def test_a_batch_is_a_function_of_its_step():
    first, second = windows(), windows()
    later = [second.batch(step, Shard()) for step in (5, 0, 3)][-1]
    for one, other in zip(first.batch(3, Shard()).inputs, later.inputs, strict=True):
        assert (one == other).all()


def test_passes_differ_unless_they_are_fixed():
    moving, fixed = windows(), windows(fixed=True)
    for reader, alike in ((moving, False), (fixed, True)):
        first, second = (reader.batch(step, Shard()) for step in (0, len(reader)))
        same = all((a == b).all() for a, b in zip(first.inputs, second.inputs, strict=True))
        assert same == alike


def test_processes_share_the_rows_of_a_batch():
    whole = windows().batch(1, Shard())
    halves = [windows().batch(1, Shard(rank=rank, world=2)) for rank in range(2)]
    for place in (0, 1):
        assert (halves[0].inputs[place] == whole.inputs[place][::2]).all()
        assert (halves[1].inputs[place] == whole.inputs[place][1::2]).all()
    assert (halves[1].inputs[2] == whole.inputs[2]).all()


def test_noise_is_drawn_as_often_as_words_are_common():
    counts = np.array([0, 81, 16, 1])
    corpus = Corpus(np.repeat([1, 2, 3], counts[1:]), np.zeros(98, np.int64))
    reader = windows(corpus=corpus, counts=counts, rows=8, noise=500)
    drawn = np.concatenate([reader.batch(step, Shard()).inputs[2] for step in range(40)])
    assert drawn.shape == (40 * 8 / 2, 500)
    shares = np.bincount(drawn.ravel(), minlength=4) / drawn.size
    assert shares == pytest.approx(np.array([0, 27, 8, 1]) / 36, abs=0.01)


def test_rows_that_share_noise_make_up_the_batch():
    with pytest.raises(ValueError, match="sharing must divide rows, 4, got 3"):
        windows(sharing=3)


def test_common_words_are_thinned_out():
    shares = np.array([0.0, 0.5, 0.4, 0.1])
    assert kept_share(shares, 0.1) == pytest.approx([1, 0.2**0.5 + 0.2, 0.75, 1])
    assert kept_share(shares, 0.0).tolist() == [1, 1, 1, 1]
    counts = np.array([0, 5_000, 50])
    corpus = Corpus(np.repeat([1, 2], counts[1:]), np.zeros(5_050, np.int64))
    reader = windows(corpus=corpus, counts=counts, thin=0.01, rows=100)
    batches = [reader.batch(step, Shard()).inputs[0] for step in range(len(reader))]
    read = np.bincount(np.concatenate(batches)[:, 0])
    assert read[1] == pytest.approx(5_000 * kept_share(counts / 5_050, 0.01)[1], rel=0.2)
    assert read[2] == pytest.approx(50, abs=10)
