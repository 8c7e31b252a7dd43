from __future__ import annotations

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
