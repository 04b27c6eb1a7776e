"""Bare environments to install into, made once a session.

They need a package index that pip can reach. Without one, set STEPWIRE_OFFLINE=1 and these
tests are skipped by name; else they fail, so that a check cannot go missing unseen.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("clients/python", "model_zoo", "server", "training")
FILES = ("pyproject.toml", "constraints.txt", "LICENSE", "README.md")


def pytest_configure(config):
    config.addinivalue_line("markers", "packaging: installs packages into fresh environments")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.packaging)
            if os.environ.get("STEPWIRE_OFFLINE"):
                item.add_marker(pytest.mark.skip("STEPWIRE_OFFLINE is set: no package index"))


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and where it takes our packages from."""

    folder: Path
    checkout: bool = False  # our packages come from the checkout, before those installed

    def command(self, name):
        return str(self.folder / "bin" / name)

    @property
    def variables(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "STEPWIRE"))}
        if self.checkout:
            kept["PYTHONPATH"] = os.pathsep.join(str(ROOT / part) for part in PARTS)
        return kept

    def run(self, name, *arguments, **settings):
        """Runs a command of the environment away from the checkout; returns its output."""
        return run([self.command(name), *arguments], env=self.variables, **settings)

    def evaluate(self, code):
        """Runs Python code; returns the JSON that it prints."""
        return json.loads(self.run("python", "-c", code))

    def missing(self, module):
        """The name of what an import fails for."""
        return self.evaluate(
            f"import json\ntry:\n    import {module}\n"
            "except ModuleNotFoundError as error:\n    print(json.dumps(error.name))"
        )


def run(command, **settings):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=240, cwd="/", **settings
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def pip(*arguments):
    return run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments])


def fresh_environment(folder, *requirements):
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / "bin/python"
    # Compiling would take as long as all the rest, and each module is imported once or never.
    pip(
        *("--python", python, "install", "--no-compile"),
        *("--constraint", ROOT / "constraints.txt", *requirements),
    )
    return Environment(folder)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: a build leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "bundles")
        shutil.copytree(ROOT / part, sources / part, ignore=ignored)
    for name in FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, sources)
    pip("wheel", "--no-deps", "--wheel-dir", folder, sources)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def client_environment(wheel, tmp_path_factory):
    return fresh_environment(tmp_path_factory.mktemp("client") / "venv", wheel)


@pytest.fixture(scope="session")
def server_environment(wheel, tmp_path_factory):
    return fresh_environment(tmp_path_factory.mktemp("server") / "venv", f"{wheel}[server]")


@pytest.fixture(params=["wheel", "checkout"])
def client(request, client_environment):
    """What a user of the client has, from the wheel and from the checkout."""
    return Environment(client_environment.folder, checkout=request.param == "checkout")


@pytest.fixture(params=["wheel", "checkout"])
def server(request, server_environment):
    """What an operator has, from the wheel and from the checkout."""
    return Environment(server_environment.folder, checkout=request.param == "checkout")
