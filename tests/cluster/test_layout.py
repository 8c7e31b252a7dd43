from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from octelium.cluster.layout import DataDirectoryError, Layout

if TYPE_CHECKING:
    from pathlib import Path


def test_only_one_process_uses_a_directory(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    lock = layout.prepare()
    with pytest.raises(
        DataDirectoryError, match=rf"in use by another .* \(process {os.getpid()}\)"
    ):
        Layout(tmp_path / "data").prepare()
    os.close(lock)
    os.close(Layout(tmp_path / "data").prepare())


def test_folders_are_private_and_old_sockets_are_removed(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    os.close(layout.prepare())
    (layout.run / "api.sock").touch()
    assert layout.controller.parent.parent == layout.run
    os.close(layout.prepare())
    assert not (layout.run / "api.sock").exists()
    assert layout.run.stat().st_mode & 0o077 == 0
    assert layout.root.stat().st_mode & 0o077 == 0


def test_a_directory_of_somebody_else_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's processes have no capability either that would pass over it."""
    layout = Layout(tmp_path / "data")
    os.close(layout.prepare())
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(DataDirectoryError, match=rf"belongs to user {owner}: .*chown"):
        layout.prepare()
    monkeypatch.undo()
    os.close(layout.prepare())


def test_in_a_directory_of_somebody_else_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(DataDirectoryError, match="belongs to user"):
        Layout(tmp_path).prepare()
    assert [*tmp_path.iterdir()] == []


def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    lock = layout.prepare()
    layout.feed.touch()
    layout.engine.mkdir()
    layout.withdraw()
    os.close(lock)
    assert [*layout.root.iterdir()] == []
    lock = layout.prepare()
    layout.store.mkdir()
    layout.withdraw()  # a Cluster is there: it keeps everything
    os.close(lock)
    assert {path.name for path in layout.root.iterdir()} == {"lock", "run", "store"}


def test_a_lock_that_was_withdrawn_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two processes could have one each: of the former file, and of its successor."""
    layout = Layout(tmp_path / "data")
    withdrawing = layout.prepare()
    flock = fcntl.flock

    def held_until_now(lock: int, operation: int) -> None:
        if withdrawing in left:
            layout.withdraw()
            os.close(left.pop())
        flock(lock, operation)

    left = [withdrawing]
    monkeypatch.setattr(fcntl, "flock", held_until_now)
    lock = layout.prepare()
    assert os.path.samestat(os.fstat(lock), (layout.root / "lock").stat())
    os.close(lock)


def test_a_place_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryError, match="--data-dir"):
        Layout(tmp_path / "file" / "data").prepare()


def test_what_the_gateway_remembers_outlives_a_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    os.close(layout.prepare())
    layout.feed.touch()
    layout.peers.touch()
    os.close(layout.prepare())
    assert (layout.feed.exists(), layout.peers.exists()) == (False, True)
