from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from octelium.visibility.log_table import RESERVE, LogStoreError, LogTable, free_bytes

if TYPE_CHECKING:
    from pathlib import Path


class Notes(LogTable[[int, str]]):
    """The simplest table."""

    def __init__(self, path: Path) -> None:
        self.free = RESERVE
        super().__init__(path, "notebook", "note", lambda _: self.free)

    def _prepare(self) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, data TEXT)")

    def _make_room(self) -> None:
        self._check_room()

    def append(self, text: str) -> bool:
        try:
            self._make_room()
            cursor = self._db.execute("INSERT INTO note (data) VALUES (?)", (text,))
        except (OSError, sqlite3.Error) as error:
            self._failed(error)
            return False
        self._trouble = ""
        self._tell(cursor.lastrowid or 0, text)
        return True

    def all(self) -> list[str]:
        reader = self._reader()
        try:
            return [row[0] for row in reader.execute("SELECT data FROM note ORDER BY id")]
        finally:
            reader.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a #log?.db"


def test_what_is_written_is_read_by_others(path: Path) -> None:
    notes = Notes(path)
    assert path.stat().st_mode & 0o077 == 0
    heard: list[tuple[int, str]] = []
    forget = notes.subscribe(lambda number, text: heard.append((number, text)))
    assert notes.append("a")
    forget()
    assert notes.append("b")
    assert notes.all() == ["a", "b"]
    assert heard == [(1, "a")]
    notes.close()
    again = Notes(path)
    assert again.all() == ["a", "b"]
    again.close()


def test_readers_write_nothing(path: Path) -> None:
    notes = Notes(path)
    reader = notes._reader()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM note")
    reader.close()
    notes.close()


def test_trouble_is_told_until_it_is_over(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes(path)
    notes.recheck()
    assert notes.trouble == ""
    notes.free = RESERVE - 1
    assert not notes.append("a")
    assert not notes.append("b")
    assert notes.failures == 2
    assert "64 MiB" in notes.trouble
    assert [record.getMessage() for record in caplog.records] == [
        f"the notebook cannot be written: {notes.trouble}"
    ]
    notes.recheck()
    assert notes.trouble
    notes.free = RESERVE
    notes._db.execute("PRAGMA query_only=ON")
    notes.recheck()
    assert "readonly" in notes.trouble
    notes._db.execute("PRAGMA query_only=OFF")
    notes.recheck()
    assert notes.trouble == ""
    assert notes.append("c")
    assert notes.all() == ["c"]
    notes.close()


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(LogStoreError, match="move it away"):
        Notes(path)


def test_room_on_a_disk(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
