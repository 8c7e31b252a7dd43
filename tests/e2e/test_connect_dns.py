"""Names on a host that `octelium connect` runs on, and what is left of it in any way that it ends.

The host is a network namespace with mounts of its own: its /etc/resolv.conf is a file of the test.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SOAK
from tests.e2e.cluster import DOMAIN, wait_for
from tests.e2e.echoes import wait_until_bound
from tests.e2e.test_connect import connected
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.test_connect import World

UPSTREAM = "192.168.7.1"
ELSEWHERE = "198.51.100.9"
ORIGINAL = f"# by hand\nnameserver {UPSTREAM}\noptions attempts:1 timeout:30\n"
FOREIGN = "nameserver 198.51.100.53\n"
OURS = "nameserver 127.0.0.100\n"
TUN = ("--implementation", "tun")
_RESOLVER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound, open(sys.argv[2], "a", 1) as log:
    bound.bind((sys.argv[1], 53))
    while True:
        data, source = bound.recvfrom(4096)
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        log.write(".".join(labels) + "\\n")
        code = 0 if labels[-1] in ("com", "org", "test") else 3
        is_v4 = data[at + 1 : at + 3] == b"\\0\\1" and not code
        extended = data[11] > 0
        head = data[:2] + bytes((0x81, 0x80 + code, 0, 1, 0, is_v4, 0, 0, 0, extended))
        record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + bytes((198, 51, 100, 9))
        options = b"\\0\\0\\x29\\x04\\xd0" + bytes(6)
        answer = data[12 : at + 5] + record * is_v4 + options * extended
        bound.sendto(head + answer, source)
"""
"""Gives every name of three domains the same address, and writes down what it is asked for."""
_LOOK_UP = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def look_up(name):
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror:
        return ""
    return " ".join(sorted({address[0] for *_, address in found}))
with ThreadPoolExecutor() as pool:
    print(*pool.map(look_up, sys.argv[1:]), sep="\\n")
"""
_CONTAINER = """
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec env OCTELIUM_CONTAINER_MODE=true OCTELIUM_LOCAL_DNS_SERVER=true "$@"
"""
_DEFAULT = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
_DEAF = """
table ip deaf {
  chain forward { type filter hook forward priority 0; drop; }
}
"""


FILES = ["mounted", "replaced"]
ANY = pytest.mark.parametrize("host", FILES if SOAK else FILES[:1], indirect=True)
"""Where the kind of file makes no difference that is known."""


@dataclass
class Host:
    """The host, and the resolver that its network has."""

    world: World
    etc: Path
    log: Path

    @property
    def resolv_conf(self) -> str:
        return (self.etc / "resolv.conf").read_text()

    @property
    def notes(self) -> str:
        """What clients have written down and not taken back."""
        return self.world.client.run("find", "/var/lib", "-name", "*.json").stdout

    def look_up(self, *names: str) -> list[str]:
        """What any program finds for each; empty for nothing."""
        done = self.world.client.run(sys.executable, "-S", "-c", _LOOK_UP, *names)
        return done.stdout.splitlines()

    def asked(self) -> list[str]:
        """Names that have left this host in the clear."""
        return self.log.read_text().splitlines()

    def status(self, user: str = "alice") -> dict[str, Any]:
        told = json.loads(self.world.run(user, "status", "-o", "json"))
        connection: dict[str, Any] = told["connection"]
        return connection

    def guardians(self) -> list[int]:
        """Ids of the processes that watch over the file."""
        found = self.world.client.run("pgrep", "-f", "client.dns.guardian", check=False).stdout
        here = self.world.client.keeper.pid
        return [int(each) for each in found.split() if _is_in_network_of(here, int(each))]


def _is_in_network_of(one: int, other: int) -> bool:
    try:
        return Path(f"/proc/{one}/ns/net").samefile(f"/proc/{other}/ns/net")
    except OSError:  # it has ended
        return False


def _machine() -> list[Any]:
    """What is the machine's own, and stays as it is."""
    path = Path("/etc/resolv.conf")
    state = path.stat()
    notes = sorted(Path("/var/lib/octelium").rglob("*"))
    return [path.read_bytes(), state.st_ino, state.st_mtime_ns, state.st_dev, notes]


@pytest.fixture(scope="module")
def one_world(routed: World) -> Iterator[World]:
    before, file = _machine(), routed.client.etc / "resolv.conf"
    former = file.read_text()
    log = routed.folder / "asked"
    log.touch()
    words = (sys.executable, "-c", _RESOLVER, UPSTREAM, str(log))
    with routed.router.process(*words):
        wait_until_bound(routed.router, "udp 53")
        yield routed
    file.write_text(former)
    assert _machine() == before


@pytest.fixture(params=FILES)
def host(request: pytest.FixtureRequest, one_world: World, tmp_path: Path) -> Iterator[Host]:
    """With a resolv.conf that is mounted, as in containers, and with one that is like any file."""
    world, etc = one_world, one_world.client.etc
    run = world.client.run
    if request.param == "replaced":
        etc = tmp_path / "etc"
        # An ordinary user cannot read all of it.
        run("cp", "-a", "/etc", etc, check=False)
        run("mount", "--bind", etc, "/etc")
    (etc / "resolv.conf").write_text(ORIGINAL)
    # It is not the machine's that would be written.
    assert run("cat", "/etc/resolv.conf").stdout == ORIGINAL != Path("/etc/resolv.conf").read_text()
    mounts = [line.split()[4] for line in run("cat", "/proc/self/mountinfo").stdout.splitlines()]
    top = "/etc" if request.param == "replaced" else "/etc/resolv.conf"
    assert [each for each in mounts if each in ("/etc", "/etc/resolv.conf")][-1] == top
    log = world.folder / "asked"
    log.write_text("")
    try:
        yield Host(world, etc, log)
    finally:
        if request.param == "replaced":
            run("umount", "/etc")


def test_names_go_where_they_belong(host: Host) -> None:
    web = host.world.address("web")
    inode = (host.etc / "resolv.conf").stat().st_ino
    with connected(host.world, "alice", *TUN, "--dns-zone", "corp.example") as it:
        assert OURS in host.resolv_conf
        ours = ("web", "web.local", f"web.local.{DOMAIN}", f"web.{DOMAIN}.local")
        assert host.look_up(*ours, "nobody.local", "www.example.com") == [web] * 4 + ["", ELSEWHERE]
        assert host.world.get("http://web/").endswith(" 200")
        reverse = host.world.client.run("getent", "hosts", web).stdout
        assert f"web.local.{DOMAIN}" in reverse
        assert host.look_up("db.corp.example") == [""]
        assert set(host.asked()) == {"www.example.com"}
        # The search list is tried for this one after the name as it stands (resolv.conf(5)).
        assert host.look_up("web.default") == [web]
        told = host.status()["dns"]
        assert told["changed"]
        assert told["names"].startswith(f"*.local.{DOMAIN} is looked up at the Cluster")
        assert it.has_said(f"at *.local.{DOMAIN}")
        assert it.end() == 0
    assert host.resolv_conf == ORIGINAL
    assert host.notes == ""
    if host.etc == host.world.client.etc:
        assert (host.etc / "resolv.conf").stat().st_ino == inode
    assert host.look_up("www.example.com") == [ELSEWHERE]
    assert set(host.asked()) == {"www.example.com", "web.default"}
    assert host.guardians() == []


@ANY
def test_private_names_stay_here_while_the_network_is_away(host: Host) -> None:
    nft = program("nft", "nftables")
    with connected(host.world, "alice", *TUN) as it:
        host.world.router.run(nft, "-f", "-", input=_DEAF)
        try:
            ours = ("away", "away.local", f"away.local.{DOMAIN}", f"away.{DOMAIN}.local")
            assert host.look_up(*ours, "www.example.com") == [""] * 4 + [ELSEWHERE]
        finally:
            host.world.router.run(nft, "delete", "table", "ip", "deaf")
        address = host.world.address("web")
        wait_for(lambda: host.look_up("web.local") == [address])
        assert it.end() == 0
    assert not [name for name in host.asked() if "local" in name]


def test_after_a_kill_the_file_is_as_before(host: Host) -> None:
    with connected(host.world, "alice", *TUN) as it:
        assert OURS in host.resolv_conf
        assert len(host.guardians()) == 1
        it.process.kill()
        begun = time.monotonic()
        wait_for(lambda: host.resolv_conf == ORIGINAL, 60)
        print(f"restored {time.monotonic() - begun:.3f} s after kill -9")
        wait_for(lambda: not host.guardians(), 60)
    assert host.notes == ""
    assert host.look_up("www.example.com") == [ELSEWHERE]


def _lose_power(host: Host, *arguments: str) -> None:
    """Leave the file as it is when nobody has a chance to restore it."""
    with connected(host.world, "alice", *arguments) as it:
        (guardian,) = host.guardians()
        os.kill(guardian, signal.SIGKILL)
        wait_for(lambda: not host.guardians())
        it.process.kill()
        it.process.wait(60)
    assert OURS in host.resolv_conf
    assert host.look_up("www.example.com") == [""]
    assert host.notes != ""


@ANY
@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ((*TUN, "--no-dns"), False),
        *([(TUN, True), (("--implementation", "gvisor"), False)] if SOAK else []),
    ],
)
def test_the_next_start_repairs_what_the_power_left(
    host: Host, words: tuple[str, ...], changes: bool
) -> None:
    _lose_power(host, *TUN)
    with connected(host.world, "alice", *words) as it:
        assert host.look_up("www.example.com") == [ELSEWHERE]
        assert (host.resolv_conf != ORIGINAL) == changes
        assert it.end() == 0
    assert (host.resolv_conf, host.notes) == (ORIGINAL, "")


@ANY
def test_disconnect_repairs_it_too(host: Host) -> None:
    _lose_power(host, *TUN)
    assert "Disconnected" in host.world.run("alice", "disconnect")
    assert (host.resolv_conf, host.notes) == (ORIGINAL, "")


@ANY
@pytest.mark.parametrize("first", ["alice", "bob"] if SOAK else ["alice"])
def test_two_clients_at_once(host: Host, first: str) -> None:
    """Of one family each, as their ranges would overlap."""
    web = host.world.address("web")
    with (
        connected(host.world, "alice", *TUN, "--ip-mode", "v4") as alice,
        connected(host.world, "bob", *TUN, "--ip-mode", "v6") as bob,
    ):
        assert "nameserver 127.0.0.101\n" in host.resolv_conf
        assert len(host.guardians()) == 2
        assert host.look_up("web.local", "www.example.com") == [web, ELSEWHERE]
        runs = {"alice": alice, "bob": bob}
        runs.pop(first).process.kill()
        wait_for(lambda: len(host.guardians()) == 1, 60)
        assert f"nameserver 127.0.0.10{int(first == 'alice')}\n" in host.resolv_conf
        assert host.look_up("web.local", "www.example.org") == [web, ELSEWHERE]
        (last,) = runs.values()
        assert last.end() == 0
    assert (host.resolv_conf, host.notes) == (ORIGINAL, "")
    assert set(host.asked()) == {"www.example.com", "www.example.org"}


@ANY
@pytest.mark.parametrize("ending", ["end", "kill"] if SOAK else ["kill"])
def test_what_another_program_has_written_stays(host: Host, ending: str) -> None:
    with connected(host.world, "alice", *TUN) as it:
        (host.etc / "resolv.conf").write_text(FOREIGN)
        if ending == "end":
            assert it.end() == 0
            assert it.has_said("was changed by another program meanwhile, and is left as it is")
        else:
            it.process.kill()
            wait_for(lambda: not host.guardians(), 60)
    assert (host.resolv_conf, host.notes) == (FOREIGN, "")


def _dig(host: Host, place: str, name: str) -> str:
    address, port = place.split(":")
    words = (f"@{address}", "-p", port, "+short", "+time=60", "+tries=1", name)
    return host.world.client.run(program("dig", "bind9-dnsutils"), *words, check=False).stdout


@ANY
@pytest.mark.parametrize(
    ("words", "place"),
    [
        ((*TUN, "--no-dns"), None),
        (("--implementation", "gvisor"), None),
        ((*TUN, "--no-dns", "--localdns"), "127.0.0.100:53"),
        (("--implementation", "gvisor", "--localdns-addr", "127.0.0.1:5300"), "127.0.0.1:5300"),
    ],
)
def test_a_resolver_that_is_to_be_left_alone(
    host: Host, words: tuple[str, ...], place: str | None
) -> None:
    def state() -> tuple[int, int, bytes]:
        found = (host.etc / "resolv.conf").stat()
        content = (host.etc / "resolv.conf").read_bytes()
        return found.st_ino, found.st_mtime_ns, content

    before = state()
    with connected(host.world, "alice", *words) as it:
        assert state() == before
        assert host.guardians() == []
        told = host.status()["dns"]
        assert told["changed"] == (place is not None)
        if place is not None:
            assert _dig(host, place, "web.local").strip() == host.world.address("web")
            assert _dig(host, place, "www.example.com").strip() == ELSEWHERE
            assert f"a name server for *.local.{DOMAIN} is at " in told["names"]
        elif "--no-dns" in words:
            assert "as before" in told["names"]
        else:
            assert "nothing of this host changes" in told["names"]
        assert it.end() == 0
    assert state() == before


@ANY
def test_in_a_container(host: Host) -> None:
    """As containers commonly are: /proc/sys is not to be written, and IPv6 is switched off."""
    switch = "echo $0 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6 > " + _DEFAULT
    prefix = ("unshare", "--mount", "sh", "-c", _CONTAINER, "sh")
    host.world.client.run("sh", "-c", switch, "1")
    try:
        with connected(host.world, "alice", *TUN, prefix=prefix) as it:
            assert OURS in host.resolv_conf
            assert host.look_up("web") == [host.world.address("web")]
            assert host.world.get("http://web/").endswith(" 200")
            assert not [each for each in host.status()["addresses"] if ":" in each]
            assert it.end() == 0
        words = (*prefix, *host.world.words("alice", "connect", *TUN, "--ip-mode", "both"))
        done = host.world.client.run(*words, env=host.world.environment("alice"), check=False)
        assert (done.returncode, "this host has no IPv6" in done.stderr) == (2, True)
    finally:
        host.world.client.run("sh", "-c", switch, "0")
    assert host.resolv_conf == ORIGINAL


@ANY
def test_in_a_container_without_a_device(host: Host) -> None:
    prefix = ("env", "OCTELIUM_CONTAINER_MODE=true", "OCTELIUM_LOCAL_DNS_SERVER=true")
    words = ("--implementation", "gvisor", "-p", "web:7003")
    with connected(host.world, "alice", *words, prefix=prefix) as it:
        assert host.world.get("http://127.0.0.1:7003/").endswith(" 200")
        assert _dig(host, "127.0.0.100:53", "web.local").strip() == host.world.address("web")
        assert host.resolv_conf == ORIGINAL
        assert it.end() == 0


@ANY
def test_a_place_that_is_taken(host: Host) -> None:
    listening = (sys.executable, "-c", _RESOLVER, "127.0.0.100", os.devnull)
    with host.world.client.process(*listening):
        wait_for(lambda: _dig(host, "127.0.0.100:53", "a.test").strip() == ELSEWHERE)
        with connected(host.world, "alice", *TUN, "--localdns") as it:
            assert it.has_said("no name server can be at 127.0.0.100 port 53")
            assert host.resolv_conf == ORIGINAL
            told = host.status()
            assert (told["healthy"], told["dns"]["changed"]) == (True, False)
            assert "127.0.0.100 port 53" in told["dns"]["problem"]
            assert it.end() == 0


@ANY
def test_in_the_background_names_work_when_the_command_returns(host: Host) -> None:
    assert "in the background" in host.world.run("alice", "connect", "-d", *TUN)
    assert host.look_up("web.local") == [host.world.address("web")]
    status = host.status()
    assert (status["healthy"], status["problem"]) == (True, "")
    assert "Disconnected" in host.world.run("alice", "disconnect")
    assert (host.resolv_conf, host.notes) == (ORIGINAL, "")
