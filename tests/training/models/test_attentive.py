import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional

from stepwire_training.models.attentive import AttentionPool, AttentiveClassifier, quanta

CONFIG = AttentiveClassifier.Config(
    readers=3, layers=2, hidden=6, learned=5, embedding=4, vectors=3, units=5
)


def a_model():
    model = CONFIG.build(vocabulary=9, labels=2).eval()
    model.begin_from(torch.randn(9, 3))
    return model


def test_a_padded_text_is_judged_and_looked_at_as_it_is_alone():
    model = a_model()
    tokens, lengths = torch.randint(9, (4, 7)), torch.tensor([7, 1, 4, 6])
    together = model.told(tokens, lengths)

    for row, length in enumerate(lengths):
        alone = model.told(tokens[row : row + 1, :length], length[None])
        assert torch.allclose(together["logits"][row], alone["logits"][0], atol=1e-6)
        assert torch.allclose(together["attention"][row, :length], alone["attention"][0], atol=1e-6)
        assert not together["attention"][row, length:].any()


def test_what_is_found_is_the_mean_of_positions_by_their_weights():
    pool, x, length = AttentionPool(3, 4), torch.randn(1, 5, 3), torch.tensor([4])
    with torch.no_grad():
        found, weights = pool(x, length)

    # A position at a time, as the formula is written.
    scores = [pool.score @ torch.tanh(pool.project(x[0, place])) for place in range(4)]
    shares = torch.stack(scores).softmax(dim=0)
    assert torch.allclose(weights[0], torch.cat([shares, torch.zeros(1)]), atol=1e-6)
    assert torch.allclose(
        found[0], sum(shares[place] * x[0, place] for place in range(4)), atol=1e-6
    )


def test_words_that_are_not_common_share_the_embedding_of_the_unknown():
    [reader, *_] = a_model().each_reader()

    assert reader.own(torch.tensor([0, 1, 4, 5, 8])).tolist() == [0, 1, 4, 0, 0]


def test_a_verdict_and_its_attention_are_the_means_of_what_readers_say_alone():
    model = a_model()
    tokens, lengths = torch.randint(9, (4, 7)), torch.tensor([7, 1, 4, 6])
    known = model.vectors[tokens]
    alone = [reader(tokens, known, lengths) for reader in model.each_reader()]

    told = model.told(tokens, lengths)
    assert torch.allclose(told["logits"], sum(logits for logits, _ in alone) / 3, atol=1e-6)
    assert torch.allclose(told["attention"], sum(weights for _, weights in alone) / 3, atol=1e-6)
    assert torch.allclose(told["attention"].sum(dim=1), torch.ones(4))


def test_each_reader_learns_from_a_loss_of_its_own():
    model = a_model()
    tokens, lengths, targets = torch.randint(9, (4, 7)), torch.full((4,), 7), torch.randint(2, (4,))
    outputs, _ = model(tokens, lengths, ())
    model.loss(outputs, targets, smoothing=0.1).backward()
    together = [reader.output.weight.grad.clone() for reader in model.each_reader()]

    for index, reader in enumerate(model.each_reader()):
        model.zero_grad()
        logits, _ = reader(tokens, model.vectors[tokens], lengths)
        functional.cross_entropy(logits, targets, label_smoothing=0.1).backward()
        assert torch.allclose(together[index], reader.output.weight.grad / 3, atol=1e-7)


def test_what_is_counted_are_the_hits_of_the_mean():
    model = a_model()
    outputs = torch.tensor([[[4.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0]] * 3])

    _, hits, count = model.tally(outputs, torch.tensor([0, 0])).tolist()
    assert (hits, count) == (1, 2)


@settings(max_examples=50)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(2, 6), st.integers(1, 4)),
        elements=st.floats(-100, 100, width=32),
    )
)
def test_a_fixed_value_is_off_by_half_a_hundredth_of_the_largest_and_fits_a_byte(values):
    vectors = torch.from_numpy(values)
    quantum = quanta(vectors)
    multiples = torch.round(vectors / quantum)
    kept = multiples * quantum

    assert multiples.abs().max() <= 127
    most = vectors.abs().amax(dim=0)
    assert ((kept - vectors).abs() <= most.clamp(min=1e-4) / 127).all()
    # So the graph finds the same bytes in what the model holds, rounded to half or not.
    again = quanta(kept.half().float())
    assert torch.equal(kept, torch.round(kept / again) * again)
