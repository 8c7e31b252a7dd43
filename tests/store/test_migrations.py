from __future__ import annotations

import sqlite3

import pytest

from octelium.store import migrations


@pytest.fixture
def connection() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def test_every_step_is_pending_once(connection: sqlite3.Connection) -> None:
    names = [step.name for step in migrations.MIGRATIONS._migrations]
    assert migrations.pending(connection) == names
    migrations.apply(connection)
    assert migrations.pending(connection) == []
    assert migrations.unknown(connection) == []


def test_the_names_of_released_steps_never_change() -> None:
    released = ["m001_versions"]
    names = [step.name for step in migrations.MIGRATIONS._migrations]
    assert names[: len(released)] == released


def test_a_step_of_another_release_is_noticed(connection: sqlite3.Connection) -> None:
    migrations.apply(connection)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
        "VALUES ('octelium-store', 'm999_later', '')"
    )
    assert migrations.unknown(connection) == ["m999_later"]


def test_two_current_versions_of_a_record_cannot_be(connection: sqlite3.Connection) -> None:
    migrations.apply(connection)
    insert = (
        "INSERT INTO version (revision, position, at, kind, uid, name, schema, created_revision, "
        "created_position, deleted, erased, data) VALUES (?, 0, 0, 'K', ?, ?, 1, 1, 0, 0, 0, x'')"
    )
    connection.execute(insert, (1, "u", "n"))
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(insert, (2, "u", "other"))
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(insert, (2, "other", "n"))
