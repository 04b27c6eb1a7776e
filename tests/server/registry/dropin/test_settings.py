import io

import numpy as np
import pytest

from stepwire_server.registry.dropin.settings import (
    Settings,
    StateSettings,
    read_settings,
    write_settings,
)
from stepwire_zoo.errors import FileMismatch, GoldenMismatch, ManifestInvalid
from support import dropins
from support.dropins import FEATURES, HIDDEN


def test_what_is_written_is_read_again():
    value = {
        "states": [{"input": "h", "output": "hn", "batch_axis": 1, "start": 0.5}],
        "batch_axis": {"x": 0, "mask": None},
        "time_axis": {"x": 1},
        "max_batch_size": 64,
        "merge": "always",
        "labels": {"y": ["no", "yes"]},
        "sequence_idle_s": 600,
    }
    settings = read_settings(write_settings(value).encode())
    assert settings.states == (StateSettings(input="h", output="hn", batch_axis=1, start=0.5),)
    assert settings.batch_axis == {"x": 0, "mask": None}
    assert settings.labels == {"y": ("no", "yes")}
    assert settings.sequence_idle_s == 600


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not JSON"),
        ("[]", "must be an object"),
        ('{"state": []}', "state: not a field"),
        ('{"states": {}}', "states: must be a list"),
        ('{"states": [{"input": "h"}]}', r"states\[0\].output: is missing"),
        ('{"states": [{"input": "h", "output": "o", "axis": 1}]}', r"states\[0\].axis: not a"),
        ('{"states": [{"input": "h", "output": "o", "batch_axis": 2}]}', "must be 0 or 1, got 2"),
        ('{"states": [{"input": "h", "output": "o", "start": "../x.npy"}]}', "got '../x.npy'"),
        ('{"states": [{"input": "h", "output": "o", "start": []}]}', "start: must be of type"),
        ('{"batch_axis": {"x": true}}', "batch_axis.x: must be of type int"),
        ('{"merge": "maybe"}', "merge must be one of exact, always, never, got 'maybe'"),
        ('{"merge": "exact", "merge": "never"}', "'merge' is there twice"),
        ('{"max_batch_size": -1}', r"max_batch_size must be in \[0, 4096\], got -1"),
        ('{"sequence_idle_s": NaN}', "NaN is not a number"),
        ('{"sequence_idle_s": 0}', "sequence_idle_s must be above 0"),
        ('{"golden": "golden.npy"}', "golden must be a file .npz"),
        (
            '{"states": [{"input": "h", "output": "a"}, {"input": "h", "output": "b"}]}',
            "each input once, got 'h' twice",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_name(text, why):
    with pytest.raises(ManifestInvalid, match=f"stepwire.json.*{why}"):
        read_settings(text.encode())


def test_a_state_starts_with_a_number_or_a_file(opened, tmp_path):
    names = ("x", "h", "c", "logits", "h_next", "c_next")
    states = (
        StateSettings(input="h", output="h_next", start=0.25),
        StateSettings(input="c", output="c_next", start="c0.npy"),
    )
    start = np.arange(HIDDEN, dtype=np.float32)
    np.save(tmp_path / "c0.npy", start)
    data = dropins.step_by_hand(names)
    h, c = opened(data, Settings(states=states)).wiring.states
    np.testing.assert_array_equal(h.start, np.full(HIDDEN, 0.25, np.float32))
    np.testing.assert_array_equal(c.start, start)
    np.save(tmp_path / "c0.npy", np.stack([start, start]))
    with pytest.raises(ManifestInvalid, match=r"float32 \[24\], got float32 \[2, 24\]"):
        opened(data, Settings(states=states))
    (tmp_path / "c0.npy").write_bytes(b"no")
    with pytest.raises(ManifestInvalid, match=r"c0.npy is not a NumPy file"):
        opened(data, Settings(states=states))
    (tmp_path / "c0.npy").unlink()
    with pytest.raises(FileMismatch, match=r"c0.npy is not there"):
        opened(data, Settings(states=states))


def test_a_golden_case_is_replayed(opened, tmp_path):
    x = np.random.default_rng(0).normal(size=(3, FEATURES)).astype(np.float32)
    y = opened(dropins.perceptron()).graph.run(["y"], {"x": x})[0]
    settings = Settings(golden="golden.npz")
    np.savez(tmp_path / "golden.npz", x=x, y=y)
    assert opened(dropins.perceptron(), settings).claims[-1].words == "golden.npz is given again"
    np.savez(tmp_path / "golden.npz", x=x, y=y + 0.01)
    with pytest.raises(GoldenMismatch, match=r"y must be within 1e-05 of golden.npz, got 0.01"):
        opened(dropins.perceptron(), settings)
    np.savez(tmp_path / "golden.npz", y=y)
    with pytest.raises(ManifestInvalid, match="lacks input x"):
        opened(dropins.perceptron(), settings)


def test_a_file_of_pickles_is_not_opened(opened, tmp_path):
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    (tmp_path / "c0.npy").write_bytes(file.getvalue())
    states = (
        StateSettings(input="a", output="z", start="c0.npy"),
        StateSettings(input="b", output="y"),
    )
    with pytest.raises(ManifestInvalid, match=r"c0.npy is not a NumPy file"):
        opened(dropins.step_by_hand(), Settings(states=states))
