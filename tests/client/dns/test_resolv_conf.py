from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.dns import resolv_conf
from octelium.client.dns.resolv_conf import ResolvConf, mounted, parse, read, target, write
from tests.peers.namespaces import available, network

TEXT = """\
; written by hand
domain old.example
nameserver 192.0.2.1
 nameserver\t2001:db8::1  # the second
nameserver fe80::1%eth0
nameserver not-an-address
search a.example b.example
nameserver
options edns0  ndots:2
sortlist 10.0.0.0/8
lookup file bind
"""
_WORD = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=12)
_CONF = st.builds(
    ResolvConf,
    st.lists(st.ip_addresses().map(str), max_size=4).map(tuple),
    st.lists(_WORD, max_size=8).map(tuple),
    st.just(("options edns0",)),
)


def test_a_file_is_read_as_the_resolver_reads_it() -> None:
    assert parse(TEXT) == ResolvConf(
        ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"),
        ("a.example", "b.example"),
        ("options edns0 ndots:2", "sortlist 10.0.0.0/8"),
    )


def test_the_forwarder_is_the_only_server_and_its_domains_come_first() -> None:
    made = parse(TEXT).with_forwarder("127.0.0.100", ["local.example.com", "b.example"])
    assert parse(made) == ResolvConf(
        ("127.0.0.100",),
        ("local.example.com", "b.example", "a.example"),
        ("options edns0 ndots:2", "sortlist 10.0.0.0/8"),
    )
    many = ResolvConf(search=tuple("abcdefgh")).with_forwarder("127.0.0.100", ["x"])
    assert parse(many).search == ("x", "a", "b", "c", "d", "e")


@given(_CONF)
def test_what_is_written_is_read_again(conf: ResolvConf) -> None:
    assert parse(conf.text()) == conf


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    found = parse(text)
    assert parse(found.text()) == found


def test_a_plain_file_is_replaced_at_once_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_bytes(b"\xff former\n")
    file.chmod(0o640)
    former = file.stat()
    assert read(file).encode("utf-8", "surrogateescape") == b"\xff former\n"
    with file.open("rb") as kept:
        write(file, read(file) + "more\n")
        assert kept.read() == b"\xff former\n"
    assert file.read_bytes() == b"\xff former\nmore\n"
    assert (file.stat().st_mode, file.stat().st_uid) == (former.st_mode, former.st_uid)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert read(file) == ""
    write(file, "x\n")
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_huge_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(OSError, match="over 1048576 bytes"):
        read(file)


def test_links_are_followed_but_not_into_systemd(tmp_path: Path) -> None:
    real, link = tmp_path / "run" / "resolv.conf", tmp_path / "resolv.conf"
    link.symlink_to(real)
    with pytest.raises(OSError, match="which is not there"):
        target(link)
    real.parent.mkdir()
    real.touch()
    write(target(link), "x\n")
    assert link.is_symlink()
    assert real.read_text() == "x\n"
    link.unlink()
    link.symlink_to("/run/systemd/resolve/stub-resolv.conf")
    with pytest.raises(OSError, match="systemd-resolved"):
        target(link)


def test_mounts_are_told_apart(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "21 20 8:1 /var/c/1/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n"
        "22 20 8:2 /x /etc/with\\040space rw - ext4 /dev/sda2 rw\n"
    )
    assert mounted(Path("/etc/resolv.conf"), mounts) == "8:1:/var/c/1/resolv.conf"
    assert mounted(Path("/etc/with space"), mounts) == "8:2:/x"
    assert mounted(Path("/etc"), mounts) is None


def test_a_mounted_file_is_written_in_place(tmp_path: Path) -> None:
    code = (
        "from octelium.client.dns.resolv_conf import *;"
        "print(mounted(PATH)); print(PATH.stat().st_ino); write(PATH, 'ours\\n');"
        "print(PATH.stat().st_ino)"
    )
    before = resolv_conf.PATH.read_bytes()
    with network(tmp_path, available()) as made:
        inside = made.namespace("client")
        place, was, now = inside.run(sys.executable, "-c", code).stdout.split()
        assert (inside.etc / "resolv.conf").read_text() == "ours\n"
        assert was == now
        assert re.fullmatch(r"\d+:\d+:/.*resolv\.conf", place)
    assert resolv_conf.PATH.read_bytes() == before


def test_a_failure_leaves_the_file(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("former\n")
    code = (
        "import pathlib, resource, signal, sys;"
        "from octelium.client.dns.resolv_conf import write;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3));"
        "write(pathlib.Path(sys.argv[1]), 'longer than that\\n')"
    )
    words = (sys.executable, "-c", code, str(file))
    done = subprocess.run(words, capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert file.read_text() == "former\n"
    assert list(tmp_path.iterdir()) == [file]
