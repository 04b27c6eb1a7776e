"""The guide's own commands and files, as a new user would type them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stepwire_server import zoo
from stepwire_server.registry.dropin.settings import read_settings

GUIDE = (Path(__file__).parents[2] / "docs/add_a_model.md").read_text()
SCRIPTS = {
    block.split("\n")[0].removeprefix("# "): block
    for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
}


@pytest.fixture
def exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("export.py")
    return tmp_path


def run(name):
    Path(name).write_text(SCRIPTS[name])
    subprocess.run([sys.executable, "-W", "ignore", name], check=True, timeout=120)


def test_what_inspect_prints_is_what_the_guide_shows(exported, capsys):
    assert zoo.main(["inspect", "models/tagger.onnx"]) == 0
    printed = capsys.readouterr().out.splitlines()
    [shown] = re.findall(r"^```\n(models/.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    for line in shown.splitlines():
        assert line in (*printed, "...")


def test_its_golden_case_is_replayed(exported, capsys):
    run("golden.py")
    [said] = re.findall(r'```json\n(\{"golden".*?)```', GUIDE, re.DOTALL)
    Path("models/tagger.stepwire.json").write_text(said)
    assert zoo.main(["--model-repository", "models", "verify"]) == 0
    arrays = dict(np.load("models/tagger.npz"))
    np.savez("models/tagger.npz", **{**arrays, "y": arrays["y"] + 1})
    assert zoo.main(["--model-repository", "models", "verify"]) == 1
    assert "GoldenMismatch: y must be within 0.0001" in capsys.readouterr().out


def test_its_settings_can_be_read():
    for said in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL):
        assert read_settings(said.encode())
        for field in json.loads(said):
            assert f"`{field}`" in GUIDE
