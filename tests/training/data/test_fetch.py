import gzip
import hashlib

import pytest

from stepwire_training.data.fetch import Source

CONTENT = "안녕\n".encode()


@pytest.fixture
def source(tmp_path):
    home = tmp_path / "home.txt"
    home.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Source(path="set/file.txt", url=home.as_uri(), sha256=digest)


def test_a_file_in_the_data_folder_is_used_packed_or_not(source, tmp_path, monkeypatch):
    monkeypatch.setenv("STEPWIRE_DATA", str(tmp_path))
    file = tmp_path / "set" / "file.txt"
    file.parent.mkdir()
    file.with_name("file.txt.gz").write_bytes(gzip.compress(CONTENT))
    assert source.read() == CONTENT
    file.with_name("file.txt.gz").unlink()
    file.write_bytes(CONTENT)
    assert source.read() == CONTENT


def test_an_absent_file_is_fetched_and_kept(source, tmp_path, monkeypatch):
    monkeypatch.setenv("STEPWIRE_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert source.read() == CONTENT
    assert (tmp_path / "stepwire/data/set/file.txt").read_bytes() == CONTENT


def test_a_changed_file_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setenv("STEPWIRE_DATA", str(tmp_path))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file.txt").write_bytes(b"something else")

    with pytest.raises(ValueError, match=f"must have SHA-256 {source.sha256}"):
        source.read()
