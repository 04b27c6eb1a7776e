"""Generates the code of the contract; with --check, only says whether it is up to date."""

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).parent
PACKAGE = Path("stepwire/v1")
COMMITTED = PROTOS.parent / "clients/python"


def generate(target: Path) -> None:
    """Writes the code of all protos under a folder."""
    files = [str(path) for path in sorted((PROTOS / PACKAGE).glob("*.proto"))]
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", f"-I{PROTOS}", *outputs, *files]):
        raise SystemExit("protoc failed")


def stale() -> list[str]:
    """Lists the committed files that differ from what the protos give."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.name: path.read_text() for path in (Path(folder) / PACKAGE).iterdir()}
    committed = {
        path.name: path.read_text()
        for path in (COMMITTED / PACKAGE).glob("*_pb2*")
        if path.suffix in (".py", ".pyi")
    }
    names = fresh.keys() | committed.keys()
    return sorted(name for name in names if fresh.get(name) != committed.get(name))


def main() -> int:
    """Runs the command. Returns its exit status."""
    if "--check" not in sys.argv[1:]:
        generate(COMMITTED)
        return 0
    for name in (old := stale()):
        print(f"{PACKAGE / name} is not what the protos give; run `make protos`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
