"""The short form of `make chaos`: servers are killed at random moments, and nobody notices."""

from support.chaos import Chaos
from support.subjects import subjects_of


def test_kills_at_random_moments_lose_double_and_change_nothing(tmp_path):
    chaos = Chaos(tmp_path, subjects_of(tmp_path / "zoo"), seed=4, callers=8)
    chaos.run(seconds=6)
    done = chaos.done
    assert min(done[kind] for kind in ("kills", "resumes", "fork", "roll_back", "carry")) > 0, done
    assert done["steps"] > 100, done
