import socket

import pytest

import stepwire
from client.fakes import FakeServer, serving

QUICK = stepwire.Retry(first_pause_s=0.01, max_pause_s=0.5)


@pytest.fixture
def service():
    return FakeServer()


@pytest.fixture
def address(service):
    with serving(service) as address:
        yield address


@pytest.fixture
def client(address):
    with stepwire.Client(address, retry=QUICK) as client:
        yield client


@pytest.fixture
async def aclient(address):
    async with stepwire.AsyncClient(address, retry=QUICK) as client:
        yield client


@pytest.fixture
def unused_address():
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
    return address
