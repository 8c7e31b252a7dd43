from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from octelium.visibility.attempt import AttemptRecord
from octelium.visibility.attempt_store import AttemptStore
from octelium.visibility.log_table import RESERVE, LogStoreError
from octelium.visibility.store import LogStore
from tests.visibility.test_store import batch

if TYPE_CHECKING:
    from pathlib import Path


ANN = {"kind": "User", "name": "ann", "uid": "u-1"}


def attempt(at: float = 100.0, outcome: str = "succeeded", way: str = "passkey") -> AttemptRecord:
    return AttemptRecord(at=at, way=way, outcome=outcome)


def times(store: AttemptStore, newest: float = 1e9, oldest: float = 0) -> list[float]:
    return [record.at for _, record in store.newest_first(newest, oldest)]


@pytest.fixture
def store(tmp_path: Path) -> AttemptStore:
    return AttemptStore(tmp_path / "log.db", clock=lambda: 200.0)


def test_attempts_come_newest_first_and_only_from_the_wanted_time(store: AttemptStore) -> None:
    for at in (100.0, 110.0, 120.0):
        assert store.append(attempt(at))
    assert times(store) == [120.0, 110.0, 100.0]
    assert times(store, 110.0, 105.0) == [110.0]
    numbers = [number for number, _ in store.newest_first(1e9, 0)]
    assert [r.at for _, r in store.newest_first(1e9, 0, before=numbers[1])] == [100.0]


def test_an_attempt_is_found_by_its_number(store: AttemptStore) -> None:
    store.append(attempt(7.0))
    ((number, _),) = store.newest_first(1e9, 0)
    found = store.find(number)
    assert found is not None
    assert found.at == 7.0
    assert store.find(number + 1) is None


def test_what_is_too_old_is_forgotten(tmp_path: Path) -> None:
    store = AttemptStore(tmp_path / "l.db", retention=50, clock=lambda: 200.0)
    store.append(attempt(100.0))
    store.append(attempt(190.0))
    assert store.prune() == 1
    assert times(store) == [190.0]


def test_a_flood_of_refused_attempts_pushes_out_its_own_kind_only(tmp_path: Path) -> None:
    store = AttemptStore(tmp_path / "l.db", most=50, clock=lambda: 200.0)
    for number in range(10):
        store.append(attempt(float(number)))
    for number in range(10):
        about = attempt(20.0 + number, "refused")
        about.user = ANN
        store.append(about)
    for number in range(1000):
        store.append(attempt(100.0 + number, "refused"))
    found = [record for _, record in store.newest_first(1e9, 0)]
    assert sum(record.outcome == "succeeded" for record in found) == 10
    assert sum(record.user is not None for record in found) == 10
    nobody = [record.at for record in found if record.outcome == "refused" and not record.user]
    assert len(nobody) == 50 // 4
    assert nobody[0] == 1099.0
    for number in range(200):
        about = attempt(1100.0 + number, "refused")
        about.user = ANN
        store.append(about)
    found = [record for _, record in store.newest_first(1e9, 0)]
    assert 50 <= sum(record.user is not None for record in found) <= 51
    assert sum(record.outcome == "succeeded" for record in found) == 10
    assert store.prune() <= 1
    for number in range(200):
        store.append(attempt(2000.0 + number))
    assert sum(r.outcome == "succeeded" for _, r in store.newest_first(1e9, 0)) <= 51


def test_numbers_are_never_used_again(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    store = AttemptStore(path, retention=50, clock=lambda: 200.0)
    store.append(attempt(100.0))
    ((first, _),) = store.newest_first(1e9, 0)
    store.prune()
    store.close()
    again = AttemptStore(path, retention=50, clock=lambda: 200.0)
    again.append(attempt(190.0))
    ((second, _),) = again.newest_first(1e9, 0)
    assert second > first


def test_it_shares_the_file_of_the_access_log(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    access = LogStore(path, clock=lambda: 200.0)
    store = AttemptStore(path, clock=lambda: 200.0)
    for number in range(1, 20):
        assert access.append(batch("aaaaaaaa", number, at=190.0))
        assert store.append(attempt(190.0))
    access.prune()
    store.prune()
    assert len(times(store)) == 19
    assert access.find("aaaaaaaa", 19) is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_is_told_and_passes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    room = [RESERVE - 1]
    store = AttemptStore(tmp_path / "l.db", clock=lambda: 200.0, free=lambda _path: room[0])
    assert not store.append(attempt())
    assert not store.append(attempt())
    assert store.failures == 2
    assert "MiB are free" in store.trouble
    assert len(caplog.records) == 1
    store.recheck()
    assert store.trouble
    room[0] = RESERVE
    store.recheck()
    assert store.trouble == ""
    assert store.append(attempt())
    assert store.trouble == ""
    assert times(store) == [100.0]


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    path.write_bytes(b"text" * 100)
    with pytest.raises(LogStoreError, match="move it away"):
        AttemptStore(path)


def test_listeners_hear_what_is_written(store: AttemptStore) -> None:
    heard: list[tuple[int, float]] = []
    end = store.subscribe(lambda number, record: heard.append((number, record.at)))
    store.append(attempt(1.0))
    end()
    store.append(attempt(2.0))
    assert [at for _, at in heard] == [1.0]
