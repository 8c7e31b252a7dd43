from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.connections import FILE, Connections, Remembered
from octelium.client.errors import StateError
from octelium.client.storage import DirectoryStorage, MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_put_is_got(tmp_path: Path) -> None:
    connections = Connections(DirectoryStorage(tmp_path))
    remembered = Remembered("127.0.0.1:8443", None, "-----BEGIN CERTIFICATE-----\n")
    connections.put("lab.test", remembered)
    connections.put("other.test", Remembered(tls_server_name="x"))
    again = Connections(DirectoryStorage(tmp_path))
    assert again.get("lab.test") == remembered
    assert again.get("unknown.test") == Remembered()
    assert again.domains() == ["lab.test", "other.test"]


def test_nothing_is_written_when_nothing_changes(tmp_path: Path) -> None:
    connections = Connections(DirectoryStorage(tmp_path))
    connections.put("lab.test", Remembered())
    assert not (tmp_path / FILE).exists()
    connections.put("lab.test", Remembered("h:1"))
    before = (tmp_path / FILE).stat().st_ino
    connections.put("lab.test", Remembered("h:1"))
    assert (tmp_path / FILE).stat().st_ino == before


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"{}", b'{"domains": 3}', b'{"domains": {"lab.test": {"ca": 3}}}']
)
def test_a_damaged_file_is_named(content: bytes) -> None:
    storage = MemoryStorage()
    storage.write(FILE, content)
    with pytest.raises(StateError, match=r"connections\.json"):
        Connections(storage).get("lab.test")


@given(st.binary(max_size=100))
def test_no_bytes_do_worse_than_an_error(content: bytes) -> None:
    storage = MemoryStorage()
    storage.write(FILE, content)
    try:
        Connections(storage).get("lab.test")
    except StateError:
        pass
    else:
        assert not content or b"domains" in content


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    connections = Connections(DirectoryStorage(tmp_path))
    connections.put("lab.test", Remembered("h:1"))
    connections.put("other.test", Remembered("h:2"))
    connections.forget("lab.test")
    connections.forget("unknown.test")
    assert connections.domains() == ["other.test"]
    assert connections.get("lab.test") == Remembered()
