from dataclasses import replace

from stepwire_training.__main__ import main
from stepwire_zoo.bundle import open_bundle, write_bundle


def test_the_command_trains_and_publishes(tmp_path, capsys):
    places = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "zoo")]

    assert main(["tiny-classifier", "--steps", "2", "--machine", "a test", *places]) == 0
    assert f"{tmp_path / 'zoo/tiny-classifier/1'}: accuracy" in capsys.readouterr().out


def test_an_older_bundle_learns_what_it_is_built_of_and_changes_in_nothing_else(tmp_path, capsys):
    places = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "zoo")]
    main(["tiny", "--steps", "2", *places])
    folder = tmp_path / "zoo/tiny/1"
    made, card = open_bundle(folder).manifest, (folder / "CARD.md").read_text()
    words = "two LSTM layers of 32 units"
    assert made.architecture == words

    # As it was published before bundles said it.
    line = f"| architecture | {words} |\n"
    files = open_bundle(folder).read_all() | {"CARD.md": card.replace(line, "").encode()}
    write_bundle(folder, replace(made, architecture=""), files)
    assert "architecture" not in (folder / "CARD.md").read_text()

    assert main(["tiny", "--architecture", *places]) == 0
    assert (folder / "CARD.md").read_text() == card
    assert open_bundle(folder).manifest == made
