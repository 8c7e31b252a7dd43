from __future__ import annotations

import pytest

from octelium.schema.schema_id import SCHEMA_ID
from octelium.store import upgrades
from octelium.store.errors import StoreUnusable
from octelium.store.upgrades import UPGRADES, upgraded


def test_every_earlier_schema_can_be_upgraded() -> None:
    assert set(UPGRADES) == set(range(1, SCHEMA_ID))


def test_current_bytes_stay_as_they_are() -> None:
    assert upgraded("Group", SCHEMA_ID, b"\0\1") == b"\0\1"


def test_newer_bytes_are_refused() -> None:
    with pytest.raises(StoreUnusable, match="Group of a newer release"):
        upgraded("Group", SCHEMA_ID + 1, b"")


def test_steps_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "SCHEMA_ID", 3)
    monkeypatch.setattr(
        upgrades,
        "UPGRADES",
        {1: lambda kind, data: data + kind.encode(), 2: lambda kind, data: data * 2},
    )
    assert upgraded("Group", 1, b"-") == b"-Group-Group"
    assert upgraded("Group", 2, b"-") == b"--"
