from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.name_cache import FILE, FRESH, KEPT, NameCache, Seen
from octelium.client.storage import DirectoryStorage, MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0


def test_a_minute_and_a_day(tmp_path: Path) -> None:
    NameCache(DirectoryStorage(tmp_path)).put("k", ["wiki", "db"], NOW)
    cache = NameCache(DirectoryStorage(tmp_path))
    assert cache.get("k", NOW) == Seen(["wiki", "db"], NOW, is_fresh=True)
    assert cache.get("k", NOW + FRESH) == Seen(["wiki", "db"], NOW, is_fresh=False)
    assert cache.get("k", NOW + KEPT) is None
    assert cache.get("k", NOW - 1) is None
    assert cache.get("other", NOW) is None
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_two_threads_that_write_at_once_both_do(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    cache, read = NameCache(storage), storage.read
    other = threading.Thread(target=cache.put, args=("b", ["y"], NOW))

    def read_and_wait(name: str) -> bytes:
        content = read(name)
        if other.ident is None:
            other.start()
            other.join(0.2)  # it would be through by then
        return content

    monkeypatch.setattr(storage, "read", read_and_wait)
    cache.put("a", ["x"], NOW)
    other.join(60)
    assert cache.get("a", NOW) == Seen(["x"], NOW, is_fresh=True)
    assert cache.get("b", NOW) == Seen(["y"], NOW, is_fresh=True)


def test_it_stays_small() -> None:
    storage = MemoryStorage()
    cache = NameCache(storage)
    for number in range(50):
        cache.put(f"k{number}", ["x"], NOW + number)
    assert cache.get("k0", NOW + 50) is None
    assert cache.get("k49", NOW + 50) == Seen(["x"], NOW + 49, is_fresh=True)
    cache.put("large", ["x" * 2_000_000], NOW + 50)
    assert cache.get("large", NOW + 50) is None
    assert len(storage.read(FILE)) < 2_000


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"k": 1}',
        b'{"k": {"at": "x", "names": []}}',
        b'{"k": {"at": true, "names": []}}',
        b'{"k": {"at": 1, "names": [2]}}',
        b'{"k": {"at": NaN, "names": ["x"]}}',
        b"[" * 100_000,
        b" " * (2 << 20),
    ],
)
def test_what_is_damaged_is_missing_and_replaced(content: bytes) -> None:
    storage = MemoryStorage()
    storage.write(FILE, content)
    cache = NameCache(storage)
    assert cache.get("k", 1.0) is None
    cache.put("k", ["wiki"], 1.0)
    assert cache.get("k", 1.0) == Seen(["wiki"], 1.0, is_fresh=True)


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(content: bytes) -> None:
    storage = MemoryStorage()
    storage.write(FILE, content)
    assert NameCache(storage).get("k", NOW) is None
