import zipfile
from email.parser import Parser

import pytest


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def metadata(wheel, names):
    (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(name).decode())


def test_it_holds_our_four_packages_and_nothing_else(names):
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"stepwire", "stepwire_zoo", "stepwire_server", "stepwire_training"}


def test_it_holds_the_generated_contract_and_the_types(names):
    for name in ("forecasting", "generation", "labeling", "models"):
        assert f"stepwire/v1/{name}_pb2.py" in names
        assert f"stepwire/v1/{name}_pb2_grpc.py" in names
        assert f"stepwire/v1/{name}_pb2.pyi" in names
    assert {"stepwire/py.typed", "stepwire_zoo/py.typed", "stepwire_server/py.typed"} <= {*names}


def test_it_holds_the_licence(names):
    assert [name for name in names if name.endswith("/LICENSE")]


def test_without_an_extra_it_asks_for_three_packages(metadata):
    asked = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert {line.split(">")[0] for line in asked} == {
        "grpcio",
        "protobuf",
        "googleapis-common-protos",
    }


def test_serving_does_not_ask_for_torch(metadata):
    asked = [line for line in metadata.get_all("Requires-Dist") if line.startswith("torch")]
    assert len(asked) == 1
    assert 'extra == "training"' in asked[0]
