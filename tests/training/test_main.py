from stepwire_training.__main__ import main


def test_the_command_trains_and_publishes(tmp_path, capsys):
    places = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "zoo")]

    assert main(["tiny-classifier", "--steps", "2", "--machine", "a test", *places]) == 0
    assert f"{tmp_path / 'zoo/tiny-classifier/1'}: accuracy" in capsys.readouterr().out
