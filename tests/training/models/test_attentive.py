import torch

from stepwire_training.models.attentive import AttentionPool, AttentiveClassifier

CONFIG = AttentiveClassifier.Config(layers=2, hidden=6, learned=5, embedding=4, vectors=3, units=5)


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
    model = a_model()

    assert model.own(torch.tensor([0, 1, 4, 5, 8])).tolist() == [0, 1, 4, 0, 0]
