"""Pairs of sentences: their tokens and their batches."""

import pytest
import torch

from stepwire_training.data.batches import PADDING, Pair, Shard
from stepwire_training.data.parallel import Cutting, PairTexts, Splits, Tokenizers, dataset, plain

TEXTS = [
    "Ein kleiner Hund läuft.",
    "Zwei Hunde laufen schnell, sehr schnell!",
    "Der Mann (rechts) ruft: „Halt!“",
    "L'homme n'est pas là.",
    "한 남자가 큰 플루트를 연주하고 있다.",
    "Two dogs - one small, one big - run.",
]
PAIRS = [Pair(one, other) for one in TEXTS for other in TEXTS]


@pytest.fixture(scope="module")
def data():
    splits = Splits(train=PAIRS, dev=PAIRS[:7], tests={"test": PAIRS[7:12]})
    return dataset(splits, Cutting(vocabulary=200, rows=5, take_apart=0.3, seed=1))


def test_decoding_gives_every_text_back(data):
    for text in TEXTS:
        ids = data.tokenizer.encode(text).ids
        assert data.tokenizer.decode(ids, skip_special_tokens=False) == text


def test_punctuation_stays_apart_from_words(data):
    pieces = data.tokenizer.encode("Hunde, Hund. Mann!").tokens

    assert [piece for piece in pieces if set(piece) & set(",.!")] == [",", ".", "!"]


def test_no_text_is_read_as_a_special_token(data):
    held_out = data.translations
    for text in ("<s>", "</s>", "<s> Hund </s>", "a</s>", "<unk>"):
        assert not {held_out.begin, held_out.end} & set(data.tokenizer.encode(text).ids)


def test_special_tokens_are_known_and_never_written(data):
    held_out = data.translations
    names = [data.tokenizer.id_to_token(n) for n in (held_out.begin, held_out.end)]

    assert names == ["<s>", "</s>"]
    assert held_out.suppressed == (held_out.unknown, held_out.begin)


def test_a_batch_begins_inputs_and_ends_targets(data):
    (sources, lengths, begun), targets, fresh = data.dev.batch(0, Shard())
    held_out = data.translations

    assert fresh
    assert (begun[:, 0] == held_out.begin).all()
    assert lengths.max() == sources.shape[1]
    for row in range(len(sources)):
        real = targets[row][targets[row] != PADDING]
        assert real[-1] == held_out.end
        assert torch.equal(begun[row, 1 : len(real)], real[:-1])


def test_a_step_is_always_the_same_and_each_pass_another(data):
    first, again, later = (data.train.batch(step, Shard()) for step in (2, 2, 2 + len(data.train)))

    assert all(torch.equal(a, b) for a, b in zip(first.inputs, again.inputs, strict=True))
    assert first.inputs[0].tolist() != later.inputs[0].tolist()


def test_a_pass_reads_every_pair_once(data):
    whole = PairTexts(PAIRS, Tokenizers(data.tokenizer, data.tokenizer), rows=5, seed=3)
    begun = [whole.batch(step, Shard()).inputs[2] for step in range(len(whole))]

    assert sum(map(len, begun)) == len(PAIRS)
    assert len(whole) == 8


def test_processes_share_the_pairs_of_a_batch(data):
    one, other = (data.train.batch(1, Shard(rank=rank, world=2)) for rank in (0, 1))
    assert len(one.inputs[0]) + len(other.inputs[0]) == 5


def test_what_cannot_be_learned_from_is_left_out_of_training_alone(data):
    pairs = [Pair("", "Hund"), Pair("Hund", "Hund " * 101), Pair("Hund", "Hund")]

    both = Tokenizers(data.tokenizer, data.tokenizer)

    assert len(PairTexts(pairs, both, rows=2, seed=1).pairs) == 1
    assert len(PairTexts(pairs[1:], both, rows=2).pairs) == 2


def test_the_same_sentence_is_known_however_it_is_written():
    assert plain("I'm  OK.") == plain("i'm ok!") == "i m ok"
    assert plain("\uff27\uff4f") == "go"


def test_each_language_may_have_a_vocabulary_of_its_own():
    pairs = [Pair(f"abc {n}", f"xyz {n}") for n in range(9)]
    cutting = Cutting(vocabulary=30, source_vocabulary=20, rows=3, seed=1)
    data = dataset(Splits(train=pairs, dev=pairs, tests={"test": pairs}), cutting)
    read, written = data.translations.source_tokenizer, data.tokenizer

    assert data.sizes == (written.get_vocab_size(), 0, read.get_vocab_size())
    assert "▁abc" in read.get_vocab()
    assert "▁abc" not in written.get_vocab()
    assert "</s>" not in read.get_vocab()


def test_one_vocabulary_serves_both_languages_unless_it_is_said_not_to(data):
    assert data.translations.own_source_tokenizer is None
    assert data.sizes == (data.tokenizer.get_vocab_size(), 0, 0)
