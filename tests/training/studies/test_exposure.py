import pytest
import torch
from torch.nn import functional

from stepwire_training.studies.exposure import QUICK, Copier, learn, measured

PIECES = torch.randint(9, (4, QUICK.length), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def copier():
    torch.manual_seed(3)
    return Copier(9, QUICK)


def test_reading_what_is_given_equals_reading_it_all_at_once(copier):
    scores = copier(PIECES, torch.zeros_like(PIECES, dtype=torch.bool))
    begin = torch.full_like(PIECES[:, :1], 9)
    read = copier.embedding(torch.cat([begin, PIECES[:, :-1]], dim=1))
    out, _ = copier.writer(read, copier.read(PIECES))
    torch.testing.assert_close(scores, copier.output(out))


def test_reading_its_own_equals_reading_what_it_wrote(copier, monkeypatch):
    state = copier.read(PIECES)
    monkeypatch.setattr(copier, "read", lambda pieces: state)
    free = copier(PIECES, torch.ones_like(PIECES, dtype=torch.bool))
    wrote = free.argmax(dim=2)
    assert not torch.equal(wrote, PIECES)
    assert torch.equal(free, copier(wrote, torch.zeros_like(PIECES, dtype=torch.bool)))


def test_a_share_of_nothing_is_teacher_forcing_to_the_last_bit():
    ids = torch.randint(9, (200,), generator=torch.Generator().manual_seed(2))
    learned = []
    for share in (0.0, None):
        torch.manual_seed(3)
        copier = Copier(9, QUICK)
        if share is None:  # a copier that reads what is given, whatever it is asked to do
            plain = copier.forward
            copier.forward = lambda pieces, own, plain=plain: plain(pieces, own & False)
        learn(copier, ids, 1.0 if share is None else share, 1, QUICK)
        learned.append(copier.state_dict())
    assert all(torch.equal(learned[0][name], learned[1][name]) for name in learned[0])


def test_the_first_place_is_no_worse_for_reading_its_own(copier):
    given, own = measured(copier, PIECES, False), measured(copier, PIECES, True)
    assert given.nats[0] == own.nats[0]
    assert given.nats[1:] != own.nats[1:]


def test_nats_are_of_the_right_character(copier):
    scores = copier(PIECES, torch.zeros_like(PIECES, dtype=torch.bool))
    wanted = functional.cross_entropy(scores[:, 2], PIECES[:, 2]).item()
    assert measured(copier, PIECES, False).nats[2] == pytest.approx(wanted)
