from __future__ import annotations

import datetime as dt
import sqlite3
from typing import TYPE_CHECKING

import pytest

from octelium.cluster import soundness
from octelium.cluster.certificates import issue, make_authority
from octelium.cluster.tls_secrets import LABEL
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime.now(dt.UTC)
LEAF = issue(make_authority("octelium.test"), ["octelium.test"])


def secret(pem: str, namespace: str = "default", label: str = "true") -> core.Secret:
    made = core.Secret()
    made.metadata.name = f"crt-ns-{namespace}"
    made.metadata.system_labels[LABEL] = label
    made.spec.data.value = pem
    return made


@pytest.mark.parametrize(
    ("later", "outcome", "words"),
    [
        (dt.timedelta(), "ok", "it is valid until"),
        (dt.timedelta(days=365 * 5 - 20), "warn", "it is valid until"),
        (dt.timedelta(days=365 * 6), "fail", "it expired on"),
        (-dt.timedelta(days=365), "fail", "it is valid from"),
    ],
)
def test_how_long_certificates_are_valid(later: dt.timedelta, outcome: str, words: str) -> None:
    (found,) = soundness.certificates([secret(LEAF.chain)], NOW + later)
    assert (found.name, found.outcome) == ("certificate of default", outcome)
    assert found.detail.startswith(words)
    assert bool(found.remedy) == (outcome != "ok")


def test_certificates_that_are_none() -> None:
    found = soundness.certificates([secret("nothing"), secret(LEAF.chain, "ops")], NOW)
    assert [each.outcome for each in found] == ["fail", "ok"]
    (nothing,) = soundness.certificates([secret(LEAF.chain, label="")], NOW)
    assert (nothing.outcome, nothing.detail) == ("fail", "there is none")


def database(folder: Path) -> Path:
    file = folder / "store.db"
    made = sqlite3.connect(file)
    made.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data TEXT)")
    made.executemany("INSERT INTO rows (data) VALUES (?)", [("x" * 500,) for _ in range(2000)])
    made.execute("CREATE INDEX by_data ON rows (data)")
    made.commit()
    made.close()
    return file


def test_a_store_that_is_whole(tmp_path: Path) -> None:
    assert soundness.store(database(tmp_path)).outcome == "ok"


def test_a_store_that_is_damaged(tmp_path: Path) -> None:
    file = database(tmp_path)
    with file.open("r+b") as opened:
        opened.seek(4096 * 3)
        opened.write(b"\xff" * 4096 * 20)
    found = soundness.store(file)
    assert found.outcome == "fail"
    assert "damaged" in found.detail
    assert "backup" in found.remedy


def test_a_store_that_is_none(tmp_path: Path) -> None:
    assert soundness.store(tmp_path / "store.db").outcome == "fail"
    file = tmp_path / "other.db"
    file.write_bytes(b"no database at all" * 500)
    assert "damaged" in soundness.store(file).detail


def test_a_store_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundness, "_STEPS", 10)
    found = soundness.store(database(tmp_path), seconds=0)
    assert found.outcome == "skipped"
    assert found.remedy


@pytest.mark.parametrize(
    ("free", "outcome"),
    [(soundness.LITTLE, "ok"), (soundness.LITTLE - 1, "warn"), (soundness.NOTHING - 1, "fail")],
)
def test_room_on_the_disk(tmp_path: Path, free: int, outcome: str) -> None:
    assert soundness.disk(tmp_path, lambda _: free).outcome == outcome


def test_the_disk_itself(tmp_path: Path) -> None:
    assert "GiB are free" in soundness.disk(tmp_path).detail
    assert soundness.disk(tmp_path / "nothing").outcome == "fail"


def test_the_clock() -> None:
    assert soundness.clock(lambda: 0).outcome == "ok"
    assert soundness.clock(lambda: 5).outcome == "warn"
    assert soundness.clock().outcome in ("ok", "warn")
