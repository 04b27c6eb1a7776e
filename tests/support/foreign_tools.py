"""Clients and tools of others, installed for a test run; a test is skipped where one cannot be."""

import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

# The wheels of tritonclient up to 2.49 carry perf_analyzer for glibc 2.36 and older.
PERF_ANALYZER = "tritonclient==2.49.0"
CUDA_RUNTIME = "nvidia-cuda-runtime-cu12==12.9.79"  # it is linked against, not used
MINUTES = 3


def run(*command, folder=None, **settings):
    """Runs a command to its end; gives what it printed."""
    found = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
        **settings,
    )
    return found.returncode, found.stdout + found.stderr


def needed(*command, folder=None):
    """Runs a command without which the test cannot be; skips where it fails."""
    program = shutil.which(str(command[0])) or command[0]
    try:
        status, told = run(program, *command[1:], folder=folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{command[0]} cannot run here: {error}")
    if status:
        pytest.skip(f"{' '.join(map(str, command))[:80]} failed: {told[-200:]}")
    return told


def perf_analyzer(folder):
    """Unpacks perf_analyzer and the libraries that it wants; gives how to run it."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("perf_analyzer is there for Linux on x86-64 alone")
    needed(sys.executable, "-m", "pip", "download", "--no-deps", PERF_ANALYZER, folder=folder)
    needed(sys.executable, "-m", "pip", "download", "--no-deps", CUDA_RUNTIME, folder=folder)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder / "wheels")
    debian_package("libb64-0d", folder)
    [program] = (folder / "wheels").rglob("bin/perf_analyzer")
    program.chmod(0o755)
    libraries = [next((folder / "wheels").rglob("libcudart.so*")).parent]
    libraries += [path.parent for path in (folder / "debian").rglob("libb64.so*")]
    environment = {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "PATH": "/usr/bin:/bin"}
    status, told = run(program, "--version", env=environment)
    if status:
        pytest.skip(f"perf_analyzer does not start: {told[-200:]}")
    return program, environment


def debian_package(name, folder):
    """Unpacks a package of Debian; nothing is installed."""
    needed("apt-get", "download", name, folder=folder)
    for package in folder.glob(f"{name}_*.deb"):
        needed("dpkg-deb", "-x", package, folder / "debian")
    return folder / "debian"


def node_packages(folder, *names):
    """Installs packages of npm into a folder."""
    needed("npm", "install", "--silent", "--no-audit", "--no-fund", *names, folder=folder)
    return Path(folder)
