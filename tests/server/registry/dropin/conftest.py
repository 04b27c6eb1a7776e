import pytest

from stepwire_server.config import RuntimeConfig
from stepwire_server.registry.dropin.files import Files
from stepwire_server.registry.dropin.opening import Said, open_graph
from stepwire_server.registry.dropin.settings import Settings


@pytest.fixture
def opened(tmp_path):
    """Opens the bytes of a file as the server does."""

    def open_bytes(data, settings=None, most=16):
        path = tmp_path / "model.onnx"
        path.write_bytes(data)
        return open_graph(
            Files.of(path), Said(settings=settings or Settings()), RuntimeConfig(), most
        )

    return open_bytes
