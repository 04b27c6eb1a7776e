import shutil
import subprocess

import grpc
import pytest

import stepwire
from client.fakes import serving
from stepwire import cli

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A key and its certificate for 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_address(folder, service):
    pair = ((folder / "key.pem").read_bytes(), (folder / "cert.pem").read_bytes())
    with serving(service, credentials=grpc.ssl_server_credentials([pair])) as address:
        yield address


async def test_both_clients_speak_tls(tls_address, folder):
    trusted = grpc.ssl_channel_credentials((folder / "cert.pem").read_bytes())
    with stepwire.Client(tls_address, credentials=trusted) as client:
        assert "".join(client.generate("echo", "abc")) == "abc"
    async with stepwire.AsyncClient(tls_address, credentials=trusted) as aclient:
        assert [text async for text in aclient.generate("echo", "abc")] == ["a", "b", "c"]


def test_the_command_trusts_what_it_is_told_to(tls_address, folder, capfd):
    args = ["models", "--address", tls_address, "--root-cert", str(folder / "cert.pem")]
    assert cli.main(args) == 0
    assert "echo" in capfd.readouterr().out


def test_a_certificate_nobody_trusts_is_refused(tls_address, capfd):
    assert cli.main(["models", "--address", tls_address, "--tls", "--timeout", "5"]) == 1
    assert f"cannot reach the server at {tls_address}" in capfd.readouterr().err
