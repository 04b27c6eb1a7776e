"""Generates the code of the contracts; with --check, only says whether it is up to date."""

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from grpc_tools import protoc

PROTOS = Path(__file__).parent
ROOT = PROTOS.parent


class Package(NamedTuple):
    """A folder of protos, and where their code is committed."""

    protos: str  # folder under this one
    code: str  # folder of the code, below one of the roots that Python imports from
    root: Path


PACKAGES = (
    Package("stepwire/v1", "stepwire/v1", ROOT / "clients/python"),
    # In the server alone: other clients bring a definition of this package of their own,
    # and Python takes only one of them in a process.
    Package("inference", "stepwire_server/oip", ROOT / "server"),
)


def generate(package: Package, target: Path) -> None:
    """Writes the code of a package's protos under a folder."""
    names = [path.name for path in sorted((PROTOS / package.protos).glob("*.proto"))]
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    # The folder is given the name that its code is imported by.
    include = f"-I{package.code}={PROTOS / package.protos}"
    if protoc.main(["protoc", include, *outputs, *(f"{package.code}/{name}" for name in names)]):
        raise SystemExit("protoc failed")


def stale(package: Package) -> list[Path]:
    """Lists the committed files that differ from what the protos give."""
    with tempfile.TemporaryDirectory() as folder:
        generate(package, Path(folder))
        fresh = {path.name: path.read_text() for path in (Path(folder) / package.code).iterdir()}
    code = package.root / package.code
    committed = {
        path.name: path.read_text()
        for path in code.glob("*_pb2*")
        if path.suffix in (".py", ".pyi")
    }
    names = fresh.keys() | committed.keys()
    return sorted(code / name for name in names if fresh.get(name) != committed.get(name))


def main() -> int:
    """Runs the command. Returns its exit status."""
    if "--check" not in sys.argv[1:]:
        for package in PACKAGES:
            generate(package, package.root)
        return 0
    old = [path for package in PACKAGES for path in stale(package)]
    for path in old:
        message = f"{path.relative_to(ROOT)} is not what the protos give; run `make protos`"
        print(message, file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
