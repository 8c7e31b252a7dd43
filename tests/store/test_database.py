from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from octelium.store import database, migrations
from octelium.store.database import APPLICATION_ID, STEPS, open_database
from octelium.store.errors import StoreUnusable
from octelium.store.tables import Tables
from tests.store.samples import write

if TYPE_CHECKING:
    from pathlib import Path

    from sqlite_utils import Database


def filled(path: Path) -> None:
    """A store of this release with one record."""
    tables = Tables(open_database(path))
    tables.commit([write("a")], 0, 1.0)
    tables.close()


def step_back(path: Path) -> None:
    """Make a file look as if its last step had not been needed yet."""
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {STEPS - 1}")
    connection.commit()
    connection.close()


@pytest.fixture
def extra_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that has one more step, which adds a table."""
    steps = list(migrations.MIGRATIONS._migrations)
    monkeypatch.setattr(migrations.MIGRATIONS, "_migrations", steps)

    @migrations.MIGRATIONS(name="m999_extra")
    def extra(db: Database) -> None:
        db.table("extra").create({"id": int}, pk="id")

    monkeypatch.setattr(database, "STEPS", STEPS + 1)


@pytest.fixture
def failing_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release whose additional step fails half-way."""
    steps = list(migrations.MIGRATIONS._migrations)
    monkeypatch.setattr(migrations.MIGRATIONS, "_migrations", steps)

    @migrations.MIGRATIONS(name="m999_failing")
    def failing(db: Database) -> None:
        db.execute("DELETE FROM version")
        db.execute("INSERT INTO no_such_table VALUES (1)")

    monkeypatch.setattr(database, "STEPS", STEPS + 1)


def test_a_new_file_is_marked_private_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = open_database(path)
    pragma = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in (
            *("application_id", "user_version", "journal_mode", "synchronous", "secure_delete"),
        )
    }
    assert pragma == {
        "application_id": APPLICATION_ID,
        "user_version": STEPS,
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
    }
    connection.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "backups").exists()


def test_the_number_of_steps_is_the_one_declared() -> None:
    assert len(migrations.MIGRATIONS._migrations) == STEPS


@pytest.mark.parametrize("content", [b"not a database, but long enough to be looked at" * 99])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnusable, match="restore it from a backup"):
        open_database(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StoreUnusable, match="not a store of Octelium"):
        open_database(path)
    assert path.read_bytes() == content


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {STEPS + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnusable, match="newer release"):
        open_database(path)


def test_a_file_with_an_unknown_step_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE _sqlite_migrations SET name = 'm007_from_the_future'")
    connection.commit()
    connection.close()
    step_back(path)
    with pytest.raises(StoreUnusable, match="newer release"):
        open_database(path)


def test_an_upgrade_keeps_data_and_leaves_a_backup_that_opens(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "store.db"
    filled(path)
    request.getfixturevalue("extra_step")
    connection = open_database(path)
    assert connection.execute("SELECT count(*) FROM extra").fetchone() == (0,)
    assert Tables(connection).get("Thing", "a") is not None
    connection.close()
    [backup] = (tmp_path / "backups").iterdir()
    assert backup.stat().st_mode & 0o777 == 0o600
    copy = sqlite3.connect(backup)
    assert copy.execute("PRAGMA user_version").fetchone() == (STEPS,)
    assert copy.execute("SELECT uid FROM version").fetchall() == [("a",)]
    copy.close()
    open_database(path).close()
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_a_failing_step_leaves_everything_and_names_the_backup(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "store.db"
    filled(path)
    request.getfixturevalue("failing_step")
    with pytest.raises(StoreUnusable, match=r"no_such_table.*backups/store-"):
        open_database(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT uid FROM version").fetchall() == [("a",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (STEPS,)
    connection.close()


def test_without_room_for_a_backup_nothing_is_migrated(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "store.db"
    filled(path)
    (tmp_path / "backups").write_text("a file where the folder should be")
    request.getfixturevalue("extra_step")
    with pytest.raises(StoreUnusable, match=r"no backup can be made.*nothing was changed"):
        open_database(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (STEPS,)
    connection.close()


def test_only_the_last_backups_are_kept(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "store.db"
    filled(path)
    folder = tmp_path / "backups"
    folder.mkdir()
    for year in range(2010, 2020):
        (folder / f"store-{year}0101T000000Z.db").touch()
    request.getfixturevalue("extra_step")
    open_database(path).close()
    kept = sorted(file.name for file in folder.iterdir())
    assert len(kept) == 5
    assert kept[0] == "store-20160101T000000Z.db"
