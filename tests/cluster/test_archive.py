from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cluster import archive
from octelium.cluster.archive import BackupError, Manifest

if TYPE_CHECKING:
    from typing_extensions import Buffer

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
        (manifest(revision=-1), "no backup"),
        (manifest(revision=True), "no backup"),
        (manifest(revision=float("inf")), "no backup"),
        (manifest(members={"store.db": [float("inf"), "a"]}), "no backup"),
        (manifest(members={"store.db": [1.5, "a"]}), "no backup"),
        (manifest(members={"store.db": [-1, "a"]}), "no backup"),
        (manifest(members={"store.db": ["1", "a"]}), "no backup"),
        (manifest(members={"store.db": [10**4000, "a"]}), "more than it holds"),
        (manifest(revision=0).replace(b": 0", b": " + b"9" * 5000), "no backup"),
        (b'{"format":' + b"[" * 900_000, "no backup"),
        (b"[" * 900_000, "no backup"),
        (b" " * ((1 << 20) + 1), "no backup"),
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


class Pipe(io.RawIOBase):
    """Bytes that come once, so that nobody knows how many there are."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        return self._rest.readinto(buffer)


HUGE = 1 << 40
ZEROS = json.loads(manifest(members={"store.db": [HUGE, "0" * 64]}))


def gnu_sparse(name: str, claimed: int) -> bytes:
    """A member without a byte, which is `claimed` zeros (tar(5), "GNU tar archives")."""
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"%011o\0%011o\0" % (0, 0)
    block[483:495] = b"\x80" + claimed.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax_sparse(name: str, claimed: int, version: str) -> bytes:
    """The same as GNU tar writes it in a pax header."""
    entry = tarfile.TarInfo(name)
    headers = {
        "0.0": {"GNU.sparse.size": f"{claimed}", "GNU.sparse.numblocks": "0"},
        "0.1": {"GNU.sparse.size": f"{claimed}", "GNU.sparse.map": "0,0"},
        "1.0": {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": name,
            "GNU.sparse.realsize": f"{claimed}",
        },
    }
    entry.pax_headers = headers[version]
    data = b"1\n0\n0\n".ljust(512, b"\0") if version == "1.0" else b""
    entry.size = len(data)
    return entry.tobuf(tarfile.PAX_FORMAT) + data


def sparse(form: str, name: str, claimed: int) -> bytes:
    return gnu_sparse(name, claimed) if form == "gnu" else pax_sparse(name, claimed, form)


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_a_sparse_member_is_refused(tmp_path: Path, form: str) -> None:
    begun = packed((tarfile.TarInfo("manifest.json"), json.dumps(ZEROS).encode())).getvalue()
    begun = begun[: 512 + -(-len(json.dumps(ZEROS)) // 512) * 512]
    bomb = begun + sparse(form, "store.db", HUGE) + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(bomb)) as file:  # it is what it shall be
        assert file.getmember("store.db").size == HUGE
        assert file.getmember("store.db").issparse()
    with pytest.raises(BackupError, match="does not belong"):
        archive.extract(io.BufferedReader(Pipe(bomb)), tmp_path)
    with pytest.raises(BackupError, match="more than it holds"):
        archive.extract(io.BytesIO(bomb), tmp_path)
    with pytest.raises(BackupError, match="no backup"):
        archive.extract(io.BytesIO(sparse(form, "manifest.json", HUGE) + bytes(1024)), tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_backup_comes_through_a_pipe(tmp_path: Path, whole: bytes) -> None:
    archive.extract(io.BufferedReader(Pipe(whole)), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENT


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.size": "x", "GNU.sparse.map": "0,0"},
        {"GNU.sparse.map": "0"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
        {"size": "9" * 5000},
        {"size": "-512"},
    ],
)
def test_headers_that_make_no_sense(tmp_path: Path, headers: dict[str, str]) -> None:
    entry = tarfile.TarInfo("store.db")
    entry.pax_headers = headers
    source = packed((tarfile.TarInfo("manifest.json"), manifest()), (entry, b"x"))
    with pytest.raises(BackupError):
        archive.extract(source, tmp_path)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("size", "path", "mtime", "hdrcharset", "GNU.sparse.map", "GNU.sparse.size"),
                *("GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.realsize"),
                *("GNU.sparse.offset", "GNU.sparse.numbytes", "GNU.sparse.numblocks"),
            ]
        ),
        st.sampled_from(["0", "1", "-1", "0,0", "1,", "x", "", "9" * 30, "1e9", "nan", "BINARY"])
        | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    )
)
def test_no_header_breaks_it(headers: dict[str, str]) -> None:
    entry = tarfile.TarInfo("store.db")
    entry.pax_headers = headers
    source = packed((tarfile.TarInfo("manifest.json"), manifest()), (entry, b"x"))
    with tempfile.TemporaryDirectory() as folder, pytest.raises(BackupError):
        # The checksum is wrong in any case; every other error fails this test.
        archive.extract(source, Path(folder))


def test_headers_upon_headers(tmp_path: Path) -> None:
    longname = tarfile.TarInfo("././@LongLink")
    longname.type, longname.size = tarfile.GNUTYPE_LONGNAME, 1
    block = longname.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")
    with pytest.raises(BackupError, match="no backup"):
        archive.extract(io.BytesIO(block * 5000), tmp_path)
