from __future__ import annotations

import os
from pathlib import Path

import pytest

from octelium.client.errors import StateError
from octelium.client.locks import HeldError, locked
from octelium.client.storage import DirectoryStorage, MemoryStorage, UnwritableError, storage_at
from tests.client.owners import Owned, home


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    storage = DirectoryStorage(home)
    with storage.lock("x"):
        storage.write("x", b"one")
    assert storage.read("x") == b"one"
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "x").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in home.iterdir()) == ["x", "x.lock"]


def test_what_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert DirectoryStorage(tmp_path / "none").read("x") == b""
    assert MemoryStorage().read("x") == b""


def test_a_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = DirectoryStorage(tmp_path)
    storage.write("x", b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match="No space left on device") as caught:
        storage.write("x", b"new")
    assert "--homedir" in caught.value.remedy
    assert storage.read("x") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "x").symlink_to(tmp_path / "real")
    DirectoryStorage(tmp_path).write("x", b"new")
    assert (tmp_path / "x").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_link_of_somebody_else_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    home = tmp_path / "home"
    home.mkdir()
    (home / "x").symlink_to(victim)
    owned = Owned(monkeypatch)
    storage = DirectoryStorage(home)
    assert storage.read("x") == b"precious"
    for place, problem in (
        (home / "x", "x is a link that somebody else made"),
        (tmp_path, "belongs to"),
    ):
        owned.by(place, 1234)
        with pytest.raises(StateError, match=problem):
            storage.read("x")
        with pytest.raises(StateError, match=problem):
            storage.write("x", b"tokens")
        owned.by(place, 0)
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("folder", ["home", "elsewhere"])
def test_root_keeps_nothing_where_somebody_else_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """The directory, or where a link in it leads."""
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x").write_bytes(b"precious")
    (tmp_path / "home/x").symlink_to(tmp_path / "elsewhere/x")
    Owned(monkeypatch).by(tmp_path / folder, 1234)
    storage = DirectoryStorage(tmp_path / "home")
    with pytest.raises(StateError, match=f"{folder} belongs to"):
        storage.write("x", b"tokens")
    with pytest.raises(StateError, match=f"{folder} belongs to"):
        storage.read("x")
    if folder == "home":
        with pytest.raises(StateError, match="belongs to"), storage.lock("x"):
            pytest.fail("it is somebody else's")
        assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["x"]
    assert (tmp_path / "elsewhere/x").read_bytes() == b"precious"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    storage = DirectoryStorage(tmp_path / "file" / "home")
    with pytest.raises(StateError, match="cannot write to"), storage.lock("x"):
        pytest.fail("there is a file in the way")
    with pytest.raises(StateError, match="cannot read"):
        storage.read("x")


@pytest.mark.parametrize("has_lock", [False, True])
def test_what_cannot_be_written_can_be_read(has_lock: bool) -> None:
    with home() as made:
        storage = DirectoryStorage(made.path)
        storage.write("x", b"old")
        if has_lock:
            (made.path / "x.lock").touch(mode=0o400)
        before = sorted(made.path.iterdir())
        with made.read_only():
            with storage.reading("x"), storage.reading("x"):
                assert storage.read("x") == b"old"
            with storage.reading("y"):
                assert storage.read("y") == b""
            with pytest.raises(UnwritableError, match="Permission denied") as caught:
                storage.rehearse("x")
            assert str(made.path) in caught.value.problem
            assert "--homedir" in caught.value.remedy
            with pytest.raises(UnwritableError), storage.lock("x"):
                pytest.fail("there is no right to it")
            with pytest.raises(UnwritableError):
                storage.write("x", b"new")
        assert sorted(made.path.iterdir()) == before
        assert storage.read("x") == b"old"


def test_who_may_not_write_waits_for_who_does() -> None:
    """As in a container that sees the user's directory."""
    with home() as made:
        storage = DirectoryStorage(made.path)
        storage.write("x", b"old")
        lock = made.path / "x.lock"
        lock.touch(mode=0o400)
        with locked(lock), made.read_only(), pytest.raises(HeldError), storage.reading("x", 0):
            pytest.fail("it is being written")


def test_a_rehearsal_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = DirectoryStorage(tmp_path / "home")
    storage.rehearse("x")
    assert not [*(tmp_path / "home").iterdir()]
    storage.write("x", b"old")
    storage.rehearse("x")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableError, match="No space left on device"):
        storage.rehearse("x")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["x"]
    assert storage.read("x") == b"old"


def test_memory_keeps_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = storage_at(None)
    with storage.lock("x"):
        storage.rehearse("x")
        storage.write("x", b"one")
    with storage.reading("x"):
        assert storage.read("x") == b"one"
    assert list(tmp_path.iterdir()) == []
    assert isinstance(storage_at(Path()), DirectoryStorage)
