import numpy as np
import pytest

from stepwire_training.data.splitting import WHOLE, Splitting, parts, take_apart
from stepwire_training.data.tokens import byte_pairs


@pytest.fixture(scope="module")
def tokenizer():
    return byte_pairs(["정말 재미있는 영화", "정말 재미없는 영화"] * 20, "syllables", 40)


def test_every_merged_token_knows_its_two_parts(tokenizer):
    into = parts(tokenizer)
    for token, (left, right) in enumerate(into):
        text = tokenizer.id_to_token(int(left))
        text += tokenizer.id_to_token(int(right)) if right != WHOLE else ""
        assert text == tokenizer.id_to_token(token)


def test_taking_tokens_apart_keeps_the_text(tokenizer):
    ids = np.array(tokenizer.encode("정말 재미있는 영화").ids)
    apart = take_apart(ids, Splitting(parts(tokenizer), 0.9), np.random.default_rng(1))

    assert len(apart) > len(ids)
    assert tokenizer.decode(apart.tolist()) == tokenizer.decode(ids.tolist())


def test_the_same_draw_takes_the_same_tokens_apart(tokenizer):
    ids = np.array(tokenizer.encode("정말 재미있는 영화").ids)
    splitting = Splitting(parts(tokenizer), 0.5)
    first, second = (take_apart(ids, splitting, np.random.default_rng(3)) for _ in range(2))

    assert first.tolist() == second.tolist()


def test_a_rate_of_nothing_changes_nothing(tokenizer):
    ids = np.array(tokenizer.encode("재미없는 영화").ids)

    assert take_apart(ids, Splitting(parts(tokenizer), 0.0), np.random.default_rng(1)) is ids
