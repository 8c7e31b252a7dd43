from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster.private_file import PrivateFileError, complete, new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    Way = Callable[[Path], AbstractContextManager[IO[bytes]]]

WAYS = pytest.mark.parametrize("way", [new, complete])


@contextmanager
def umask(mask: int) -> Iterator[None]:
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


@WAYS
@pytest.mark.parametrize("mask", [0, 0o22, 0o777])
def test_only_its_owner_reads_it(way: Way, mask: int, tmp_path: Path) -> None:
    path = tmp_path / "made"
    with umask(mask), way(path) as file:
        file.write(b"secret")
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_nlink == 1
    assert [*tmp_path.iterdir()] == [path]


@WAYS
@pytest.mark.parametrize("kind", ["file", "fifo", "link", "dangling", "folder"])
def test_what_lies_there_is_not_written_to(way: Way, kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "made", tmp_path / "other"
    if kind in ("file", "link"):
        (path if kind == "file" else other).write_bytes(b"mine")
    if kind in ("link", "dangling"):
        path.symlink_to(other)
    if kind == "fifo":
        os.mkfifo(path)
    if kind == "folder":
        path.mkdir()
    before = {one.name: one.lstat() for one in tmp_path.iterdir()}
    with pytest.raises(PrivateFileError, match="exists already") as error, way(path):
        pytest.fail("it was opened")
    assert "move it away" in error.value.remedy
    assert {one.name: one.lstat() for one in tmp_path.iterdir()} == before


@WAYS
def test_nothing_is_left_of_one_that_fails(way: Way, tmp_path: Path) -> None:
    def fail() -> None:
        with way(tmp_path / "made") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [*tmp_path.iterdir()] == []


@WAYS
def test_places_where_none_can_be(way: Way, tmp_path: Path) -> None:
    with pytest.raises(PrivateFileError, match="No such file"), way(tmp_path / "none" / "made"):
        pytest.fail("it was opened")
    (tmp_path / "file").touch()
    with pytest.raises(PrivateFileError, match="Not a directory"), way(tmp_path / "file" / "made"):
        pytest.fail("it was opened")


@WAYS
def test_a_file_system_without_modes(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.open

    def without_modes(path: str, flags: int, mode: int = 0o777, **more: Any) -> int:
        return really(path, flags, 0o644 if flags & os.O_CREAT else mode, **more)

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "open", without_modes)
    monkeypatch.setattr(os, "fchmod", refused)
    with (
        umask(0o22),
        pytest.raises(PrivateFileError, match="read by others"),
        way(tmp_path / "made"),
    ):
        pytest.fail("it was opened")
    assert [*tmp_path.iterdir()] == []


def test_a_draft_has_another_name_each_time(tmp_path: Path) -> None:
    with complete(tmp_path / "a"), complete(tmp_path / "b"):
        drafts = {path.name for path in tmp_path.iterdir()}
    assert len(drafts) == 2
    assert not drafts & {"a", "b"}
    with complete(tmp_path / "c"):
        assert not drafts & {path.name for path in tmp_path.iterdir()}


def test_a_name_that_is_taken_meanwhile_stays_who_took_it(tmp_path: Path) -> None:
    path = tmp_path / "made"

    def late() -> None:
        with complete(path) as file:
            file.write(b"secret")
            path.write_bytes(b"theirs")

    with pytest.raises(PrivateFileError, match="exists already"):
        late()
    assert path.read_bytes() == b"theirs"
    assert [*tmp_path.iterdir()] == [path]


def test_a_draft_that_others_replace_is_not_what_is_named(tmp_path: Path) -> None:
    path = tmp_path / "made"
    with complete(path) as file:
        (draft,) = tmp_path.iterdir()
        draft.rename(tmp_path / "taken")
        draft.write_bytes(b"theirs")
        file.write(b"secret")
    assert path.read_bytes() == b"secret"


def test_a_draft_that_others_remove_is_told(tmp_path: Path) -> None:
    def robbed() -> None:
        with complete(tmp_path / "made"):
            (draft,) = tmp_path.iterdir()
            draft.unlink()

    with pytest.raises(PrivateFileError, match="cannot be made"):
        robbed()
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_others_replace_gets_nothing(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    with complete(folder / "made") as file:
        file.write(b"secret")
        folder.rename(tmp_path / "away")
        folder.symlink_to(other)
    assert [*other.iterdir()] == []
    assert (tmp_path / "away" / "made").read_bytes() == b"secret"


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(PrivateFileError, match="not permitted") as error, complete(tmp_path / "a"):
        pass
    assert error.value.remedy
    assert [*tmp_path.iterdir()] == []
