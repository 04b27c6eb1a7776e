"""What docs/interop.md shows, as it stands there."""

import re
from pathlib import Path

import pytest

from support.foreign_tools import run
from support.replica import server_process

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "interop.md"
NAMES = ("nsmc-bilstm", "shakespeare-lstm")


@pytest.fixture(scope="module")
def bundled():
    """A server with the bundles that the guide asks."""
    loads = [flag for name in NAMES for flag in ("--load-model", name)]
    flags = ("--model-control-mode", "explicit", *loads)
    with server_process(ROOT / "model_zoo" / "bundles", *flags) as address:
        yield address


def test_its_python_runs_as_it_stands(bundled, tmp_path, tritonclient_python, bare_variables):
    [code] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert "localhost:8001" in code
    script = tmp_path / "guide.py"
    script.write_text(code.replace("localhost:8001", bundled))
    status, told = run(tritonclient_python, script, env=bare_variables)
    assert status == 0, told
    assert "b'positive'" in told
    assert len(re.findall(r"b'[^']*:\d+:", told)) == 15
