import numpy as np
import pytest

from stepwire_training.export import publish
from stepwire_training.plot_neighbours import main, neighbourhood, projected


@pytest.fixture(scope="module")
def zoo(vectors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    return folder, publish(vectors.finished(), folder), vectors


def test_a_plane_keeps_what_lies_in_one():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(12, 2)).astype(np.float32)
    turned, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    plane, share = projected((flat @ turned[:2]).astype(np.float32))
    assert share == pytest.approx(1.0)
    wanted = np.linalg.norm(flat[:, None] - flat, axis=2)
    np.testing.assert_allclose(np.linalg.norm(plane[:, None] - plane, axis=2), wanted, atol=1e-5)


def test_a_neighbourhood_is_a_word_and_those_of_the_highest_cosines(zoo):
    _, bundle, run = zoo
    found = neighbourhood(bundle, "cat", 3)
    table = run.finished().model().published().numpy()
    known = run.dataset.worded.known
    units = table[1 : len(known.counts)] / np.linalg.norm(
        table[1 : len(known.counts)], axis=1, keepdims=True
    )
    order = np.argsort(-(units @ units[known.words.index("cat") - 1]))[:4] + 1
    assert found.words == [known.words[place] for place in order]
    np.testing.assert_allclose(found.vectors, units[order - 1], atol=1e-5)


def test_the_command_writes_an_image(zoo, tmp_path):
    folder, _, _ = zoo
    out = tmp_path / "plot.png"
    words = ["--words", "cat", "saw", "--near", "3"]
    assert main(["tiny-vectors", *words, "--zoo", str(folder), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_word_that_is_not_known_is_named(zoo, tmp_path, capsys):
    folder, _, _ = zoo
    arguments = ["--words", "unicorn", "--zoo", str(folder), "--out", str(tmp_path / "plot.png")]
    with pytest.raises(SystemExit):
        main(["tiny-vectors", *arguments])
    assert "--words must be known to tiny-vectors, got 'unicorn'" in capsys.readouterr().err
