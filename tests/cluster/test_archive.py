from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cluster import archive
from octelium.cluster.archive import BackupError, Manifest

CONTENT = {"store.db": os.urandom(700), "vault.key": b"key\n", "ca.pem": b"pem\n"}


def made(folder: Path) -> bytes:
    """An archive of CONTENT."""
    folder.mkdir()
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)
    target = io.BytesIO()
    archive.write(target, Manifest("a.example", 7, "2026-01-01T00:00:00Z", "1.0"), folder)
    return target.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("archive") / "in")


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as file:
        for entry, data in entries:
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return io.BytesIO(target.getvalue())


def manifest(**changes: object) -> bytes:
    value: dict[str, object] = {
        "domain": "a.example",
        "revision": 7,
        "made": "",
        "version": "1.0",
        "members": {"store.db": [1, "ab"]},
        "format": 1,
    }
    return json.dumps({**value, **changes}).encode()


def test_what_was_put_in_comes_out(tmp_path: Path, whole: bytes) -> None:
    found = archive.extract(io.BytesIO(whole), tmp_path)
    assert (found.domain, found.revision, found.version) == ("a.example", 7, "1.0")
    assert found.has_key
    assert not found.has_logs
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENT
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    with tarfile.open(fileobj=io.BytesIO(whole)) as file:  # any program for tar can list it
        assert file.getnames() == ["manifest.json", "store.db", "vault.key", "ca.pem"]


@given(st.data())
def test_no_damage_goes_unnoticed(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(whole)
    if data.draw(st.booleans(), "cut"):
        del changed[data.draw(st.integers(0, len(whole) - 1), "length") :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(whole) - 1), "place")
            changed[place] = data.draw(st.integers(0, 255), "byte")
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(BackupError):
        # Every other error fails this test.
        found = archive.extract(io.BytesIO(bytes(changed)), Path(folder))
        left = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        assert left == {name: CONTENT[name] for name in found.members}


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "store.db/../../out", "other", "logs.db"])
def test_nothing_is_taken_out_under_another_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "into"
    folder.mkdir()
    source = packed((tarfile.TarInfo("manifest.json"), manifest()), (tarfile.TarInfo(name), b"x"))
    with pytest.raises(BackupError, match="does not belong in it"):
        archive.extract(source, folder)
    assert [*tmp_path.rglob("*")] == [folder]


def test_links_and_second_members_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("store.db")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(BackupError, match="does not belong"):
        archive.extract(
            packed((tarfile.TarInfo("manifest.json"), manifest()), (link, b"")), tmp_path
        )
    (tmp_path / "store.db").symlink_to("/etc/passwd")
    second = packed(
        (tarfile.TarInfo("manifest.json"), manifest()), (tarfile.TarInfo("store.db"), b"x")
    )
    with pytest.raises(BackupError, match="does not belong"):
        archive.extract(second, tmp_path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no backup"),
        (b"[]", "no backup"),
        (b"{}", "no backup"),
        (manifest(format=2), "format 2"),
        (manifest(members={}), "lists"),
        (manifest(members={"store.db": [1, "a"], "etc": [1, "a"]}), "lists etc"),
        (manifest(members={"store.db": 1}), "no backup"),
        (manifest(members=[]), "no backup"),
        (manifest(domain=5), "no backup"),
        (manifest(revision="x"), "no backup"),
        (manifest(revision=None), "no backup"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(BackupError, match=said):
        archive.extract(packed((tarfile.TarInfo("manifest.json"), data)), tmp_path)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all", bytes(4096), b"PK\3\4" + bytes(999)]
)
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BackupError, match="no backup of `octops backup`"):
        archive.extract(io.BytesIO(content), tmp_path)
