"""Puts the checkout on the path: the benchmarks are run from it and never installed."""

import sys
from pathlib import Path

import pytest

from support.tiny import write_classification, write_generation

sys.path.append(str(Path(__file__).resolve().parents[2]))


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    write_generation(folder, "tiny")
    write_classification(folder, "judge")
    return folder
