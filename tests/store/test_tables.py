from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from octelium.store.database import open_database
from octelium.store.errors import Compacted, InvalidArgument
from octelium.store.tables import Tables
from tests.store.samples import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def tables(path: Path) -> Iterator[Tables]:
    tables = Tables(open_database(path))
    yield tables
    tables.close()


def on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())


def test_erased_bytes_are_nowhere_in_the_files(tables: Tables, path: Path) -> None:
    marks = [b"<first mark>" * 500, b"<second mark>" * 500]
    tables.commit([write("a", marks[0])], 0, 0.0)
    tables.commit([write("a", marks[1])], 1, 0.0)
    assert b"<first mark>" in on_disk(path)
    tables.commit([write("a", deleted=True, erase=True)], 2, 0.0)
    left = on_disk(path)
    assert b"<first mark>" not in left
    assert b"<second mark>" not in left


def test_a_commit_that_fails_half_way_leaves_no_transaction_open(tables: Tables) -> None:
    tables.commit([write("a", name="x")], 0, 0.0)
    with pytest.raises(sqlite3.Error):
        tables.commit([write("b"), write("c", data="text" * 3)], 1, 0.0)  # type: ignore[arg-type]  # SQLite refuses it in a column of bytes
    assert tables.head() == 1
    assert tables.get("Thing", "b") is None
    assert tables.commit([write("b")], 1, 0.0).revision == 2


def test_a_full_disk_fails_the_commit_whole(tables: Tables) -> None:
    tables.commit([write("a")], 0, 0.0)
    (pages,) = tables._sql.execute("PRAGMA page_count").fetchone()
    tables._sql.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        tables.commit([write("small"), write("large", b"x" * 1_000_000)], 1, 0.0)
    assert tables.head() == 1
    assert tables.get("Thing", "small") is None
    tables._sql.execute("PRAGMA max_page_count = 1000000")
    assert tables.commit([write("large", b"x" * 1_000_000)], 1, 0.0).revision == 2


def test_pruning_beyond_the_head_stops_at_the_head(tables: Tables) -> None:
    tables.commit([write("a", b"1")], 0, 0.0)
    tables.prune({"Thing": 50})
    tables.commit([write("a", b"2")], 1, 0.0)
    assert [commit.revision for commit in tables.commits(1, 10)] == [2]


def test_a_sequence_that_begins_anew(tables: Tables) -> None:
    tables.commit([write("a", b"1"), write("b")], 0, 0.0)
    tables.commit([write("a", b"2")], 1, 0.0)
    assert tables.origin() == 0
    for taken in (0, 2):
        with pytest.raises(InvalidArgument, match="at revision 2"):
            tables.begin_anew(taken)
    assert [commit.revision for commit in tables.commits(0, 10)] == [1, 2]
    tables.begin_anew(10**15)
    assert (tables.head(), tables.origin()) == (10**15, 10**15)
    assert [record.uid for record in tables.records(None, None)] == ["a", "b"]
    assert tables.commit([write("c")], 10**15, 0.0).revision == 10**15 + 1
    assert [record.uid for record in tables.records("Thing", 10**15)] == ["a", "b"]
    for past in (0, 2, 10**15 - 1):
        with pytest.raises(Compacted):
            tables.commits(past, 10)
        with pytest.raises(Compacted):
            tables.records("Thing", past)
    assert [commit.revision for commit in tables.commits(10**15, 10)] == [10**15 + 1]
    tables.prune({"Thing": 5})
    assert tables.origin() == 10**15


def test_look_ups_use_an_index(tables: Tables) -> None:
    for sql in (
        "SELECT * FROM version WHERE kind = 'K' AND uid = 'u' AND replaced IS NULL",
        "SELECT * FROM version WHERE revision > 5 ORDER BY revision, position",
        "SELECT * FROM version WHERE kind = 'K' AND uid = 'u' ORDER BY revision DESC",
        "DELETE FROM version WHERE kind = 'K' AND replaced <= 9",
    ):
        plan = " ".join(row[3] for row in tables._sql.execute(f"EXPLAIN QUERY PLAN {sql}"))
        assert "USING INDEX" in plan, (sql, plan)
        assert "SCAN version" not in plan.replace("USING INDEX", "")
