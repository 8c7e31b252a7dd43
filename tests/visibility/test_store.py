from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.visibility.batch import encode
from octelium.visibility.log_table import RESERVE, LogStoreError
from octelium.visibility.record import AuditSubject
from octelium.visibility.store import LogStore
from tests.visibility.samples import record

if TYPE_CHECKING:
    from pathlib import Path


def batch(prefix: str, *numbers: int, at: float = 100.0) -> bytes:
    records = [record(number) for number in numbers]
    for index, made in enumerate(records):
        made.started = at + index
    return encode(prefix, records)


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path / "log.db", clock=lambda: 200.0)


def test_blocks_come_newest_first_and_only_from_the_wanted_time(store: LogStore) -> None:
    for at in (100.0, 120.0, 110.0):
        store.append(batch("aaaaaaaa", int(at), at=at))
    assert [block.rows[0].started for _, block in store.blocks(1e9, 0)] == [120.0, 110.0, 100.0]
    assert [block.rows[0].started for _, block in store.blocks(115.0, 105.0)] == [110.0]


def test_a_record_is_found_by_its_id(store: LogStore) -> None:
    store.append(batch("aaaaaaaa", 1, 2, 3))
    store.append(batch("bbbbbbbb", 1))
    found = store.find("aaaaaaaa", 2)
    assert found is not None
    assert len(found.rows) == 3
    assert store.find("aaaaaaaa", 4) is None
    assert store.find("cccccccc", 1) is None


def test_workers_are_found_by_their_names(store: LogStore) -> None:
    for prefix in ("aaaaaaaa", "aaaaaaaaxyz", "aaaaaaaazzz", "aaaaaaab", "aaaaaaa0key"):
        store.append(batch(prefix, 1, 2))
        store.append(batch(prefix, 3))
    assert store.prefixes("aaaaaaaa") == ["aaaaaaaa", "aaaaaaaaxyz", "aaaaaaaazzz"]
    assert store.prefixes("aaaaaaa0") == ["aaaaaaa0key"]
    assert store.prefixes("none") == []


def test_what_is_too_old_or_too_much_is_forgotten(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "l.db", retention=50, capacity=10_000, clock=lambda: 200.0)
    store.append(batch("aaaaaaaa", 1, at=100.0))
    store.append(batch("aaaaaaaa", 2, at=190.0))
    assert store.prune() == 1
    assert store.find("aaaaaaaa", 1) is None
    for number in range(3, 200):
        store.append(batch("aaaaaaaa", number, at=190.0))
        assert sum(store._held) <= 10_000
    assert store.find("aaaaaaaa", 199) is not None
    assert store.find("aaaaaaaa", 3) is None


NOBODY = AuditSubject(mode="HTTP", allowed=False, authenticated=False, reason={})


def test_requests_of_nobody_push_out_nothing_but_their_own_kind(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "l.db", capacity=10_000, clock=lambda: 200.0)
    store.append(batch("aaaaaaaa", 1))
    for number in range(2, 300):
        store.append(encode("aaaaaaaa", [record(number, NOBODY)]))
    store.append(batch("aaaaaaaa", 300))
    assert store._held[1] <= 2_500
    assert store.find("aaaaaaaa", 2) is None
    for number in (1, 299, 300):
        found = store.find("aaaaaaaa", number)
        assert found is not None
        assert number in [row.number for row in found.rows]


def test_a_record_is_found_among_batches_of_both_kinds_that_overlap(store: LogStore) -> None:
    store.append(batch("aaaaaaaa", 1, 4, 6))
    store.append(encode("aaaaaaaa", [record(number, NOBODY) for number in (2, 3, 5)]))
    for number in range(1, 7):
        found = store.find("aaaaaaaa", number)
        assert found is not None
        assert number in [row.number for row in found.rows]
    assert store.find("aaaaaaaa", 7) is None


def test_a_file_without_kinds_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    store = LogStore(path)
    store.append(batch("aaaaaaaa", 1))
    store._db.execute("DROP INDEX block_by_kind")
    store._db.execute("ALTER TABLE block DROP COLUMN anonymous")
    store.close()
    store = LogStore(path)
    store.append(encode("aaaaaaaa", [record(2, NOBODY)]))
    assert store.find("aaaaaaaa", 1) is not None
    assert store.find("aaaaaaaa", 2) is not None


def test_records_survive_a_reopening_and_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = LogStore(path)
    store.append(batch("aaaaaaaa", 1))
    store.close()
    assert LogStore(path).find("aaaaaaaa", 1) is not None
    assert path.stat().st_mode & 0o077 == 0


def test_a_write_that_fails_is_told_and_counted(store: LogStore) -> None:
    store._db.execute("PRAGMA query_only=ON")
    assert not store.append(batch("aaaaaaaa", 1))
    assert (store.trouble, store.failures) == ("attempt to write a readonly database", 1)
    store.recheck()
    assert store.trouble
    store._db.execute("PRAGMA query_only=OFF")
    store.recheck()
    assert store.trouble == ""
    assert store.append(batch("aaaaaaaa", 1))
    assert store.trouble == ""


def test_listeners_hear_of_batches_until_they_leave(store: LogStore) -> None:
    heard: list[int] = []
    leave = store.subscribe(lambda block: heard.append(len(block.rows)))
    store.append(batch("aaaaaaaa", 1, 2))
    leave()
    store.append(batch("aaaaaaaa", 3))
    assert heard == [2]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(LogStoreError, match=r"log\.db: file is not a database; move it away"):
        LogStore(path)


def test_the_disk_is_never_filled(tmp_path: Path) -> None:
    free = RESERVE * 2
    store = LogStore(tmp_path / "log.db", free=lambda _path: free)
    assert store.append(batch("aaaaaaaa", 1))
    free = RESERVE - 1
    assert not store.append(batch("aaaaaaaa", 2))
    assert "less than 64 MiB are free" in store.trouble
    store.recheck()
    assert store.trouble
    free = RESERVE * 2
    store.recheck()
    assert store.trouble == ""
    assert store.append(batch("aaaaaaaa", 3))


def test_what_is_forgotten_is_given_back_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = LogStore(path, capacity=200_000)
    for number in range(0, 20_000, 500):
        store.append(batch("aaaaaaaa", *range(number, number + 500)))
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < 600_000
