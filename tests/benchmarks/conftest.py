"""Puts the checkout on the path: the benchmarks are run from it and never installed."""

import sys
from pathlib import Path

import pytest

from support.tiny import write_classification, write_generation

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    write_generation(folder, "tiny")
    write_classification(folder, "judge")
    # The naive translator knows the zoo's architecture, and no other.
    (folder / "everyday-en-ko").symlink_to(ROOT / "model_zoo" / "bundles" / "everyday-en-ko")
    return folder
