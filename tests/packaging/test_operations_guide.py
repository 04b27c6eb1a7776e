import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs/operations.md").read_text()


@pytest.fixture
def flags(server_environment):
    """Flags and their variables as the installed command explains them."""
    text = " ".join(server_environment.run("stepwire-server", "--help").split())
    return set(re.findall(r"--[a-z-]+", text)) - {"--help"}, set(re.findall(r"STEPWIRE_\w+", text))


def test_it_names_every_flag_with_its_variable(flags):
    names, variables = flags
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `--")]
    assert {re.search(r"--[a-z-]+", row).group() for row in rows} == names
    assert {re.search(r"STEPWIRE_\w+", row).group() for row in rows} == variables
    for row in rows:
        flag, variable = re.search(r"--([a-z-]+)", row), re.search(r"STEPWIRE_(\w+)", row)
        assert flag[1].replace("-", "_").upper() == variable[1]
