from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.contexts import FILE, Contexts
from octelium.client.errors import StateError
from octelium.client.storage import DirectoryStorage, MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_chosen_stays_chosen(tmp_path: Path) -> None:
    contexts = Contexts(DirectoryStorage(tmp_path))
    assert contexts.current() is None
    contexts.use("a.test")
    contexts.use("b.test")
    again = Contexts(DirectoryStorage(tmp_path))
    assert again.current() == "b.test"
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    again.forget("a.test")
    assert contexts.current() == "b.test"
    again.forget("b.test")
    assert contexts.current() is None


@pytest.mark.parametrize(
    ("current", "logged_in", "chosen"),
    [
        (None, ["b.test"], "b.test"),
        (None, ["a.test", "b.test"], "a.test"),
        (None, ["a.test", "b.test", "c.test"], "b.test"),
        ("a.test", ["a.test", "b.test"], "a.test"),
        ("c.test", ["a.test", "b.test", "c.test"], "c.test"),
        ("gone.test", ["a.test", "b.test"], "b.test"),
    ],
)
def test_what_a_login_chooses(current: str | None, logged_in: list[str], chosen: str) -> None:
    contexts = Contexts(MemoryStorage())
    if current is not None:
        contexts.use(current)
    assert contexts.adopt("b.test", logged_in) == chosen
    assert contexts.current() == chosen


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"domain": 3}', b"[" * 100_000])
def test_a_damaged_file_is_named_and_replaced(content: bytes) -> None:
    storage = MemoryStorage()
    storage.write(FILE, content)
    contexts = Contexts(storage)
    with pytest.raises(StateError, match=r"context\.json") as raised:
        contexts.current()
    assert "octelium context use" in raised.value.remedy
    contexts.use("a.test")
    assert contexts.current() == "a.test"


@given(st.binary(max_size=100))
def test_no_bytes_do_worse_than_an_error(content: bytes) -> None:
    storage = MemoryStorage()
    storage.write(FILE, content)
    try:
        Contexts(storage).current()
    except StateError:
        pass
    else:
        assert not content or b"domain" in content
