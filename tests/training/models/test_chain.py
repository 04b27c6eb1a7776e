"""The chain that is trained, against the one that is served and every sequence there is."""

import itertools

import pytest
import torch

from stepwire_training.models.chain import Chain

LABELS = 3


@pytest.fixture
def chain():
    torch.manual_seed(4)
    made = Chain(LABELS)
    for part in made.parameters():
        torch.nn.init.normal_(part)
    return made


def worth(chain, logits, tags):
    steps = sum(chain.steps[a, b] for a, b in itertools.pairwise(tags))
    words = sum(logits[place, tag] for place, tag in enumerate(tags))
    return chain.starts[tags[0]] + words + steps + chain.ends[tags[-1]]


def every(length):
    return itertools.product(range(LABELS), repeat=length)


def test_nats_are_those_among_all_sequences(chain):
    logits, lengths = torch.randn(3, 5, LABELS), torch.tensor([5, 1, 3])
    tags = torch.randint(0, LABELS, (3, 5))
    got = chain.nats(logits, tags, lengths)
    for row, length in enumerate(lengths.tolist()):
        own = worth(chain, logits[row], tags[row, :length].tolist())
        total = torch.stack([worth(chain, logits[row], each) for each in every(length)])
        torch.testing.assert_close(got[row], total.logsumexp(0) - own)


def test_the_best_is_the_best_of_all(chain):
    for length in (1, 2, 5):
        logits = torch.randn(length, LABELS)
        wanted = max(every(length), key=lambda tags: worth(chain, logits, tags).item())
        assert chain.best(logits) == list(wanted)
