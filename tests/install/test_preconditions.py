"""What stands in the way is named, with the remedy, before anything is changed."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SOAK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.install.machine import Machine


long = pytest.mark.skipif(not SOAK, reason="a further case: OCTELIUM_SOAK=1")
OFTEN = frozenset({"no memory", "read-only disk", "old Python", "no DNS", "three at once"})
"""The cases that every run has."""


def put(name: str, text: str) -> str:
    """A program before all others on PATH, within the mount namespace of one run."""
    where = f"/run/stand-in/{name}"
    return (
        f"mkdir -p /run/stand-in\nprintf '%s\\n' '#!/bin/sh' '{text}' >{where}\nchmod +x {where}\n"
        'export PATH=/run/stand-in:$PATH\ntrap "rm -r /run/stand-in" EXIT\n'
    )


def bind(path: str, text: str) -> str:
    """Another content of a file, within the mount namespace of one run."""
    return f"printf '{text}' >/run/instead\nmount --bind /run/instead {path}\n"


def small(path: str, options: str = "") -> str:
    """Another file system at a folder, of 10 MiB."""
    return f"mount -t tmpfs -o size=10m{options} tmpfs {path}\n"


CASES = {
    "no memory": (
        bind("/proc/meminfo", "MemTotal: 500000 kB\\nMemAvailable: 102400 kB\\n"),
        (),
        ("memory: 100 MiB of memory are available, 300 MiB are needed", "add swap"),
    ),
    "read-only disk": (
        "mount --bind /opt /opt; mount -o remount,bind,ro /opt\n",
        (),
        ("disk: /opt/octelium is on a read-only file system", "mount it read-write"),
    ),
    "full disk": (
        small("/var/lib"),
        (),
        ("disk: 10 MiB are free for /var/lib/octelium, 200 MiB are needed", "make room"),
    ),
    "no execution": (
        "mount -t tmpfs -o noexec tmpfs /opt\n",
        (),
        ("disk: /opt/octelium is on a file system mounted noexec", "remount"),
    ),
    "another system": (
        bind("/etc/os-release", "ID=fedora\\nVERSION_ID=40\\n"),
        (),
        ("os: the operating system is fedora 40", "Debian 12, Debian 13 and Ubuntu 24.04"),
    ),
    "no systemd": (
        small("/run/systemd"),
        (),
        ("systemd: this machine was not booted with systemd", "octelium up --domain"),
    ),
    "old Python": (
        put("python3", "echo 3.9"),
        (),
        ("python: python3 is Python 3.9", "Python 3.11, 3.12 or 3.13 is needed"),
    ),
    "Python too new": (put("python3", "echo 3.14"), (), ("python: python3 is Python 3.14",)),
    "wrong clock": (
        put("date", "echo 1000"),
        (),
        ("clock: the clock says", "timedatectl set-time"),
    ),
    "no DNS": (
        "",
        ("--domain", "nowhere.example"),
        ("dns: DNS knows no address of nowhere.example", "add A records", "--skip-check dns"),
    ),
    "DNS that filters what sslip.io answers": (
        put("getent", "exit 2"),
        (),
        ("dns: this machine's DNS knows no address of", "use name servers that reach sslip.io"),
    ),
    "a tunnel without its device": (
        small("/dev/net"),
        ("--tunnel", "on"),
        ("tunnel: there is no /dev/net/tun", "modprobe tun"),
    ),
    "a tunnel's device that users may not open": (
        "mknod -m 600 /run/tun c 10 200; mount --bind /run/tun /dev/net/tun; rm /run/tun\n",
        ("--tunnel", "on"),
        ("tunnel: /dev/net/tun may not be opened by users", "chmod 0666 /dev/net/tun"),
    ),
    "three at once": (
        bind("/etc/os-release", "ID=debian\\nVERSION_ID=11\\n"),
        ("--domain", "nowhere.example"),
        ("os: ", "python: ", "dns: ", "3 of the preconditions fail"),
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else long) for name in CASES]
)
def test_a_precondition(machine: Machine, name: str) -> None:
    before, options, said = CASES[name]
    state = machine.state()
    done = machine.install("good", *options, before=before, check=False)
    assert done.returncode == 1, done.stdout
    for text in (*said, "nothing was changed"):
        assert text in done.stdout
    assert "[2/7]" not in done.stdout
    assert machine.state() == state


def test_another_machine(machine: Machine) -> None:
    state = machine.state()
    script = "/mnt/releases/good/install.sh"
    done = machine.run("setarch", "linux32", "sh", script, check=False)
    assert done.returncode == 1
    assert "arch: the machine is i686" in done.stdout
    assert "x86-64 (x86_64) and arm64 (aarch64) are supported" in done.stdout
    assert machine.state() == state


def test_a_port_that_is_taken(machine: Machine) -> None:
    state = machine.state()
    listener = machine.host.listen("0.0.0.0", 443)
    with listener:
        done = machine.install("good", check=False)
        assert done.returncode == 1
        assert "port: --listen: tcp port 443 is taken by" in done.stdout
        assert "choose another address with --listen" in done.stdout
        assert machine.install("good", "--listen", ":8443", "--dry-run").returncode == 0
        aside = machine.install("good", "--listen", "127.0.0.1:443", "--dry-run", check=False)
        assert "port 443 is taken" in aside.stdout
    with machine.host.listen("127.0.0.1", 443):
        done = machine.install("good", "--listen", "203.0.113.10:443", "--dry-run")
        assert done.returncode == 0
    assert machine.state() == state


@long
def test_somebody_else_than_root(machine: Machine) -> None:
    nobody = "setpriv --reuid=65534 --clear-groups sh -s </mnt/releases/good/install.sh"
    done = machine.run("sh", "-c", nobody, check=False)
    assert done.returncode == 1
    assert "root: this is not root" in done.stdout
    assert "sudo" in done.stdout


@pytest.mark.parametrize(
    ("release", "options", "said"),
    [
        ("cut", (), ("octelium-1.0.0-py311-linux-x86_64.pyz is not what SHA256SUMS says", "cut")),
        ("changed", (), ("uninstall.sh is not what SHA256SUMS says", "fetch the release again")),
        *(
            pytest.param(*case, marks=long)
            for case in (
                ("foreign", (), ("has no file octelium-VERSION-py311-linux-x86_64.pyz", "py39")),
                ("good", ("--release", "7.0"), ("has no file octelium-7.0-py311",)),
                ("good", ("--from", "/nowhere"), ("there is no directory /nowhere", "give a URL")),
                ("good", ("--from", "/mnt/releases/unlisted"), ("cannot be fetched", "--from")),
                ("unlisted", (), ("no release is named", "--from URL")),
                ("good", ("--from", "http://203.0.113.1:9"), ("cannot be fetched", "network")),
            )
        ),
    ],
)
@pytest.mark.usefixtures("bad_releases")
def test_a_release_that_is_none(
    machine: Machine, release: str, options: tuple[str, ...], said: tuple[str, ...]
) -> None:
    state = machine.state()
    done = machine.install(release, *options, check=False)
    assert done.returncode == 1, done.stdout
    for text in (*said, "Nothing was changed."):
        assert text in done.stdout
    assert "[3/7]" not in done.stdout
    assert machine.state() == state


@long
@pytest.mark.parametrize(
    ("tool", "options", "said"),
    [
        ("curl", ("--from", "http://203.0.113.1:9"), "there is neither curl nor wget"),
        ("minisign", ("--public-key", "RWQkey"), "cannot be verified: there is no minisign"),
    ],
)
def test_a_tool_that_is_missing(
    machine: Machine, tool: str, options: tuple[str, ...], said: str
) -> None:
    state = machine.state()
    hidden = f"mount --bind /dev/null /usr/bin/{tool}"
    done = machine.install("good", *options, before=hidden, check=False)
    assert (done.returncode, said in done.stdout) == (1, True), done.stdout
    assert f"apt-get install {tool}" in done.stdout
    assert machine.state() == state


@pytest.fixture
def keys(machine: Machine) -> Iterator[str]:
    """A folder with keys, and a release that they sign."""
    folder = "/run/keys-of-the-release"
    machine.shell(
        f"""set -e
        mkdir {folder}
        cd {folder}
        cp -r /mnt/releases/good signed
        minisign -G -W -p mini.pub -s mini.key >/dev/null
        minisign -Sm signed/SHA256SUMS -s mini.key
        openssl genpkey -algorithm ed25519 -out pem.key
        openssl pkey -in pem.key -pubout -out pem.pub
        openssl pkeyutl -sign -inkey pem.key -rawin -in signed/SHA256SUMS -out signature
        mv signature signed/SHA256SUMS.sig"""
    )
    yield folder
    machine.shell(f"rm -r {folder}")


@long
@pytest.mark.parametrize("key", ["mini.pub", "pem.pub", "text"])
def test_a_signature(machine: Machine, keys: str, key: str) -> None:
    given = f"{keys}/{key}"
    if key == "text":
        given = machine.shell(f"tail -n 1 {keys}/mini.pub").strip()
    options = ("--from", f"{keys}/signed", "--public-key", given, "--dry-run")
    assert "signature verified" in machine.install("good", *options).stdout
    machine.shell(f"echo >>{keys}/signed/SHA256SUMS")
    done = machine.install("good", *options, check=False)
    assert done.returncode == 1
    assert "the signature of SHA256SUMS is wrong" in done.stdout


@long
def test_a_signature_without_the_tool(machine: Machine, keys: str, releases: Path) -> None:
    """The key of the release itself is no demand; see `test_a_tool_that_is_missing` for one."""
    key = machine.shell(f"tail -n 1 {keys}/mini.pub").strip()
    script = releases / "good" / "install.sh"
    text = script.read_text()
    filled = text.replace("readonly SIGNED_BY=''", f"readonly SIGNED_BY='{key}'")
    assert filled != text
    script.write_text(filled)
    try:
        options = ("--from", f"{keys}/signed", "--dry-run")
        assert "signature verified" in machine.install("good", *options).stdout
        hidden = "mount --bind /dev/null /usr/bin/minisign"
        said = machine.install("good", *options, before=hidden).stdout
        assert "no minisign (apt-get install minisign): the signature is not verified" in said
        machine.shell(f"echo >>{keys}/signed/SHA256SUMS")
        done = machine.install("good", *options, check=False)
        assert (done.returncode, "is wrong" in done.stdout) == (1, True)
    finally:
        script.write_text(text)


def test_an_address_that_others_cannot_reach(machine: Machine) -> None:
    said = machine.install("good", "--public-address", "10.1.2.3", "--dry-run").stdout
    assert "its address 10.1.2.3 is private" in said
    assert "TCP port 443 to it (and UDP 53820 for tunnels)" in said
    assert "no --domain: 10-1-2-3.sslip.io" in said


@long
@pytest.mark.parametrize("address", ["2001:db8::a", "fd00::7"])
def test_a_machine_with_ipv6_alone(machine: Machine, address: str) -> None:
    route = f"2001:db8::1 from :: via fe80::1 dev e src {address} metric 1"
    route = f'case "$*" in *-6*) echo "{route}" ;; esac'
    before = put("ip", route) + put("hostname", "exit 1")
    said = machine.install("good", "--skip-check", "dns", "--dry-run", before=before).stdout
    name = address.replace(":", "-")
    assert f"no --domain: {name}.sslip.io" in said
    assert (f"its address {address} is private" in said) == address.startswith("fd")


class Server(BaseHTTPRequestHandler):
    """Serves a folder; bodies end half-way below /cut, the clock is wrong below /yesterday."""

    folder: Path

    def do_GET(self) -> None:
        _, kind, name = self.path.split("/")
        body = (self.folder / name).read_bytes()
        self.send_response_only(200)
        late = 86400 if kind == "yesterday" else 0
        self.send_header("Date", self.date_time_string(int(time.time()) - late))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind == "cut" and "pyz" in name else body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server(machine: Machine, releases: Path) -> Iterator[str]:
    """The URL of a web server that the machine reaches."""
    handler = type("Handler", (Server,), {"folder": releases / "good"})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
    made.socket.close()
    made.socket = machine.host.listen("203.0.113.10", 8000)
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield "http://203.0.113.10:8000"
    made.shutdown()
    made.server_close()
    thread.join()


def test_a_download(machine: Machine, server: str) -> None:
    state = machine.state()
    said = machine.install("good", "--from", f"{server}/whole", "--dry-run").stdout
    assert "checksum verified" in said
    assert "Would install" in said
    for kind, told in (
        ("cut", "linux-x86_64.pyz cannot be fetched: curl: (18)"),
        ("yesterday", "seconds away from that of"),
    ):
        done = machine.install("good", "--from", f"{server}/{kind}", check=False)
        assert done.returncode == 1, done.stdout
        assert told in done.stdout
        assert "[3/7]" not in done.stdout
    assert machine.state() == state


@long
def test_a_dry_run(machine: Machine, bad_releases: Path) -> None:
    assert bad_releases.is_dir()
    state = machine.state()
    said = machine.install("good", "--dry-run", "--listen", ":8443", "--admin", "ann").stdout
    for text in ("Would install", 'listen: ":8443"', 'admin: "ann"', "Nothing was changed."):
        assert text in said
    assert machine.state() == state


@long
def test_a_check_that_is_skipped(machine: Machine) -> None:
    options = ("--domain", "nowhere.example", "--skip-check", "dns", "--dry-run")
    said = machine.install("good", *options).stdout
    assert "(dns) DNS knows no address of nowhere.example (skipped)" in said
    assert 'domain: "nowhere.example"' in said
