"""What stands in the way of a Cluster on k3s is named, with the remedy, before anything changes."""

from __future__ import annotations

import hashlib
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SOAK
from tests.install.k3s_machine import ADDRESS, READY, K3sMachine, k3s_files, k3s_release
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

long = pytest.mark.skipif(not SOAK, reason="a further case: OCTELIUM_SOAK=1")
OFTEN = frozenset({"Traefik", "no memory for k3s", "several at once", "a k3s that is too old"})
"""The cases that every run has."""
TOOLS = """sh awk cat chmod cp cut date dirname du find flock grep head install ln ls mkdir mktemp
mv printf readlink rm sed sha256sum sort stat tail tar tr wc env sysctl"""
"""What a machine has beside what the stand-ins are for."""
TRAEFIK = {
    "metadata": {"namespace": "kube-system", "name": "traefik"},
    "spec": {"ports": [{"port": 80}, {"port": 443}]},
    "status": {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}},
}
PROXY = {
    "metadata": {"namespace": "web", "name": "proxy"},
    "spec": {"containers": [{"ports": [{"containerPort": 80, "hostPort": 443}]}]},
}


def node(**values: Any) -> dict[str, Any]:
    return {**READY, **values}


def on_k3s(change: Callable[[K3sMachine], object]) -> Callable[[K3sMachine], None]:
    """A machine with k3s, changed."""

    def made(vm: K3sMachine) -> None:
        vm.have_k3s()
        change(vm)

    return made


def listening(port: int) -> Callable[[K3sMachine], object]:
    """As /proc/net/tcp says it of a port of all addresses (proc(5))."""
    line = (
        f"   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 9"
    )
    return lambda vm: vm.write("proc/net/tcp", line + "\n")


CASES: dict[str, tuple[Callable[[K3sMachine], object], tuple[str, ...], tuple[str, ...]]] = {
    "no root": (
        lambda m: m.put("id", "#!/bin/sh\necho 1000\n"),
        (),
        ("root: this is not root", "run it with sudo"),
    ),
    "another machine": (
        lambda m: m.put("uname", "#!/bin/sh\necho riscv64\n"),
        (),
        ("arch: the machine is riscv64", "x86-64 (x86_64) and arm64 (aarch64) are supported"),
    ),
    "another system": (
        lambda m: m.write("os-release", "ID=fedora\nVERSION_ID=40\n"),
        (),
        ("os: the operating system is fedora 40", "--skip-check os"),
    ),
    "no systemd": (
        lambda m: (m.folder / "booted").rmdir(),
        (),
        ("systemd: this machine was not booted with systemd",),
    ),
    "no memory for k3s": (
        lambda m: m.write("proc/meminfo", "MemAvailable: 700000 kB\n"),
        (),
        ("memory: 683 MiB of memory are available, 900 MiB are needed", "add swap"),
    ),
    "no memory": (
        on_k3s(lambda m: m.write("proc/meminfo", "MemAvailable: 102400 kB\n")),
        (),
        ("memory: 100 MiB of memory are available, 300 MiB are needed",),
    ),
    "no memory controller": (
        lambda m: m.write("controllers", "cpuset cpu io pids\n"),
        (),
        ("memory: the kernel counts no memory", "cgroup_enable=memory"),
    ),
    "full disk": (
        lambda m: m.put("df", "#!/bin/sh\necho F\necho disk 9 0 102400 0% /\n"),
        (),
        ("disk: 100 MiB are free for", "1700 MiB are needed (k3s, the image, data)", "make room"),
    ),
    "read-only disk": (
        lambda m: m.write("proc/self/mounts", "/dev/vda1 / ext4 ro 0 0\n"),
        (),
        ("is on a read-only file system", "mount it read-write"),
    ),
    "no execution": (
        lambda m: m.write("proc/self/mounts", "/dev/vda1 / ext4 rw,noexec 0 0\n"),
        (),
        ("is on a file system mounted noexec", "remount it with exec"),
    ),
    "wrong clock": (
        lambda m: m.put("date", "#!/bin/sh\necho 1000\n"),
        (),
        ("clock: the clock says", "timedatectl set-time"),
    ),
    "no address": (
        lambda m: m.put("ip", "#!/bin/sh\n"),
        (),
        ("addresses: this machine has no address", "give --addresses"),
    ),
    "an address of another machine": (
        lambda _: None,
        ("--addresses", "203.0.113.11"),
        (
            "--addresses: 203.0.113.11 is none of this machine's",
            f"its own are: 127.0.0.1 {ADDRESS}",
        ),
    ),
    "no DNS": (
        lambda _: None,
        ("--domain", "nowhere.example"),
        ("dns: DNS knows no address of nowhere.example", "add A records", "--skip-check dns"),
    ),
    "DNS that filters what sslip.io answers": (
        lambda m: m.put("getent", "#!/bin/sh\nexit 2\n"),
        (),
        (
            "dns: this machine's DNS knows no address of 203-0-113-10.sslip.io",
            "use name servers that reach sslip.io and keep its answers, or give --domain",
        ),
    ),
    "a port that is taken": (
        listening(443),
        (),
        ("port: tcp port 443 is taken by another program", "another port with --public-port"),
    ),
    "a port that k3s needs": (
        listening(6443),
        (),
        ("port: tcp port 6443 is taken by another program", "k3s needs that port"),
    ),
    "no such port": (lambda _: None, ("--public-port", "70000"), ("port: there is no port 70000",)),
    "another Kubernetes": (
        lambda m: m.put("kubelet", "#!/bin/sh\n"),
        (),
        ("k3s: another Kubernetes is on this machine: kubelet", "take another machine"),
    ),
    "a Cluster without k3s": (
        lambda m: (m.folder / "bare").symlink_to("1.0.0-01234567"),
        (),
        ("cluster: a Cluster without k3s is on this machine", "octops backup", "octops restore"),
    ),
    "a tunnel without user namespaces": (
        lambda m: m.write("proc/sys/user/max_user_namespaces", "0\n"),
        ("--tunnel", "on"),
        ("sys/user/max_user_namespaces is 0", "leave out --tunnel on"),
    ),
    "a k3s that is too old": (
        on_k3s(lambda m: m.change(version="v1.28.9+k3s1")),
        (),
        ("k3s: k3s has Kubernetes 1.28", "Kubernetes 1.29 to 1.34 is supported"),
    ),
    "a k3s that is too new": (
        on_k3s(lambda m: m.change(version="v1.35.0+k3s1")),
        (),
        ("k3s: k3s has Kubernetes 1.35",),
    ),
    "a k3s that does not run": (
        on_k3s(lambda m: m.change(runs=False)),
        (),
        ("the API of k3s does not answer: The connection to the server", "systemctl status k3s"),
    ),
    "several nodes": (
        on_k3s(lambda m: m.add("nodes", node(), node(metadata={"name": "node-2"}))),
        (),
        ("k3s: there are several nodes: node-1 node-2", "take a k3s of one node"),
    ),
    "a node that is not ready": (
        on_k3s(
            lambda m: m.add(
                "nodes", node(status={"conditions": [{"type": "Ready", "status": "False"}]})
            )
        ),
        (),
        ("k3s: the node is not ready: node-1 False", "kubectl describe node"),
    ),
    "no network policies": (
        on_k3s(
            lambda m: m.add(
                "nodes",
                node(
                    metadata={
                        "name": "node-1",
                        "annotations": {
                            "k3s.io/node-args": '["server","--disable-network-policy"]'
                        },
                    }
                ),
            )
        ),
        (),
        ("k3s runs with --disable-network-policy", "systemctl restart k3s"),
    ),
    "no storage": (
        on_k3s(lambda m: m.add("storageclass")),
        (),
        ("k3s: there is no default storage class", "--disable local-storage"),
    ),
    "another family of addresses": (
        on_k3s(lambda m: m.add("nodes", node(spec={"podCIDRs": ["fd42::/64"]}))),
        (),
        ("addresses: k3s has Pods in fd42::/64, and this machine no such address",),
    ),
    "Traefik": (
        on_k3s(lambda m: m.add("services", TRAEFIK)),
        (),
        ("port: Traefik of k3s has port 443, by ServiceLB", "disable: [traefik, servicelb]"),
    ),
    "another Service": (
        on_k3s(
            lambda m: m.add(
                "services",
                {
                    "metadata": {"namespace": "web", "name": "shop"},
                    "spec": {"externalIPs": [ADDRESS], "ports": [{"port": 443}]},
                },
            )
        ),
        (),
        ("port: the Service web/shop of this k3s has port 443", "choose another --public-port"),
    ),
    "a Pod at the port": (
        on_k3s(lambda m: m.add("pods", PROXY)),
        (),
        ("port: the Pod web/proxy of this k3s has port 443 of the machine (hostPort)",),
    ),
    "several at once": (
        lambda m: (m.write("os-release", "ID=debian\nVERSION_ID=11\n"), listening(443)(m)),
        ("--domain", "nowhere.example"),
        ("os: ", "port: ", "dns: ", "3 of the preconditions fail"),
    ),
}


@pytest.fixture
def vm(tmp_path: Path) -> K3sMachine:
    """A machine without k3s, with all that is needed for it."""
    made = K3sMachine(tmp_path / "machine")
    k3s_release(made.folder / "good", "1.0.0")
    k3s_files(made, "good")
    return made


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else long) for name in CASES]
)
def test_a_precondition(vm: K3sMachine, name: str) -> None:
    change, options, said = CASES[name]
    change(vm)
    before = vm.files()
    done = vm.bootstrap("good", *options)
    assert done.returncode == 1, done.stdout
    for text in (*said, "nothing was changed"):
        assert text in done.stdout
    assert re.search(r"^ +→ \S", done.stdout, re.MULTILINE), done.stdout
    assert "[2/6]" not in done.stdout
    assert vm.files() == before


@long
@pytest.mark.parametrize("tool", ["curl", "ip", "tar"])
def test_a_tool_that_is_missing(vm: K3sMachine, tool: str) -> None:
    """Everything else is there, in one folder."""
    tools = vm.folder / "tools"
    tools.mkdir()
    for name in TOOLS.split():
        (tools / name).symlink_to(f"/usr/bin/{name}")
    (vm.folder / "bin" / tool).unlink(missing_ok=True)
    (tools / tool).unlink(missing_ok=True)
    path = f"PATH={vm.folder}/bin:{vm.folder}/local-bin:{tools}"
    done = vm.bootstrap("good", before=path)
    assert done.returncode == 1
    assert f"tools: there is no {tool}" in done.stdout
    assert "[2/6]" not in done.stdout


@long
@pytest.mark.parametrize("name", ["Traefik", "a Pod at the port"])
def test_another_port(vm: K3sMachine, name: str) -> None:
    CASES[name][0](vm)
    done = vm.bootstrap("good", "--public-port", "8443", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert 'public_port: "8443"' in done.stdout


def _cut(place: Path) -> None:
    image = place / "octelium-1.0.0-linux-amd64.oci.tar"
    image.write_bytes(image.read_bytes()[:-400])


def _without(name: str) -> Callable[[Path], None]:
    def remove(place: Path) -> None:
        file = place / name
        file.unlink()
        sums = file.with_name("SHA256SUMS")
        if sums.exists():
            lines = sums.read_text().splitlines(keepends=True)
            sums.write_text("".join(line for line in lines if file.name not in line))

    return remove


def _unlisted(place: Path) -> None:
    (place / "SHA256SUMS").unlink()


def _foreign(place: Path) -> None:
    (place / "k3s/k3s").write_text("another program")


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (_cut, (), ("linux-amd64.oci.tar is not what SHA256SUMS says", "cut off or changed")),
        (_foreign, (), ("k3s/k3s is not what k3s/SHA256SUMS says", "fetch it again")),
        *(
            pytest.param(*case, marks=long)
            for case in (
                (_unlisted, (), ("SHA256SUMS cannot be fetched", "--from")),
                (
                    _without("octelium-1.0.0-linux-amd64.oci.tar"),
                    (),
                    ("has no file octelium-VERSION-linux-amd64.oci.tar", "its files are:"),
                ),
                (
                    _without("octelium-1.0.0-k3s.tar"),
                    (),
                    ("SHA256SUMS has no checksum of octelium-1.0.0-k3s.tar",),
                ),
                (
                    _without("k3s/k3s-airgap-images-amd64.tar.zst"),
                    (),
                    ("names no k3s-airgap-images-amd64.tar", "add the images"),
                ),
                (
                    _without("k3s/SHA256SUMS"),
                    (),
                    (
                        "https://get.k3s.io cannot be fetched: curl: (7)",
                        "without one, put k3s into",
                    ),
                ),
                (lambda _: None, ("--release", "7.0"), ("has no file octelium-7.0-linux-amd64",)),
                (lambda _: None, ("--from", "/nowhere"), ("there is no directory /nowhere",)),
            )
        ),
    ],
)
def test_a_release_that_is_none(
    vm: K3sMachine,
    change: Callable[[Path], None],
    options: tuple[str, ...],
    said: tuple[str, ...],
) -> None:
    change(vm.folder / "good")
    before = vm.files()
    done = vm.bootstrap("good", *options)
    assert done.returncode == 1, done.stdout
    for text in (*said, "Nothing was changed."):
        assert text in done.stdout
    assert "[3/6]" not in done.stdout
    assert vm.files() == before


def test_a_dry_run(vm: K3sMachine) -> None:
    before = vm.files()
    done = vm.bootstrap("good", "--dry-run", "--admin", "ann")
    assert done.returncode == 0, done.stdout
    for text in (
        "Would install k3s",
        "disable: [traefik, servicelb, metrics-server]",
        "Would install 1.0.0-",
        'admin: "ann"',
        "Nothing was changed.",
    ):
        assert text in done.stdout
    assert vm.files() == before


@long
def test_a_signature_is_demanded(vm: K3sMachine) -> None:
    """A key that is asked for, and no signature."""
    key = "RWQ" + hashlib.sha256(b"key").hexdigest()[:53]
    vm.put("minisign", "#!/bin/sh\nexit 1\n")
    (vm.folder / "good/SHA256SUMS.minisig").write_text("untrusted comment: none\n")
    done = vm.bootstrap("good", "--public-key", key)
    assert done.returncode == 1
    assert "the signature of SHA256SUMS is wrong" in done.stdout


@pytest.mark.parametrize("tool", ["openssl", "minisign"])
def test_a_signature_covers_k3s(vm: K3sMachine, tool: str) -> None:
    """With a key, what of k3s runs as root is signed with it, too; else nothing of it runs."""
    folder = vm.folder / "good/k3s"
    vm.serve()
    public, sign = keys(vm, tool)
    sign(folder.parent)
    options = ("good", "--public-key", public)
    before = vm.files()
    done = vm.bootstrap(*options)
    assert done.returncode == 1
    assert "signature verified: SHA256SUMS\n" in done.stdout
    assert "/k3s/SHA256SUMS." in done.stdout
    assert "cannot be fetched, and a signature is demanded" in done.stdout
    assert "sign k3s/SHA256SUMS" in done.stdout
    assert vm.files() == before
    # That of another file is none.
    for ending in ("sig", "minisig"):
        other = folder.parent / f"SHA256SUMS.{ending}"
        if other.exists():
            (folder / other.name).write_bytes(other.read_bytes())
    done = vm.bootstrap(*options)
    assert (done.returncode, vm.files() == before) == (1, True)
    assert "the signature of k3s/SHA256SUMS is wrong" in done.stdout
    assert not (vm.folder / "vendor").exists()
    sign(folder)
    done = vm.bootstrap(*options)
    assert done.returncode == 0, done.stdout
    assert "signature verified: k3s/SHA256SUMS" in done.stdout


def keys(vm: K3sMachine, tool: str) -> tuple[str, Callable[[Path], None]]:
    """A public key, and what signs the checksums of a folder with the other."""
    secret, public = str(vm.folder / "secret"), str(vm.folder / "public")

    def call(*words: str) -> None:
        subprocess.run([program(tool, tool), *words], check=True, capture_output=True)

    if tool == "openssl":
        call("genpkey", "-algorithm", "ed25519", "-out", secret)
        call("pkey", "-in", secret, "-pubout", "-out", public)
    else:
        call("-G", "-W", "-p", public, "-s", secret)

    def sign(folder: Path) -> None:
        sums = str(folder / "SHA256SUMS")
        if tool == "openssl":
            given = ("pkeyutl", "-sign", "-inkey", secret, "-rawin", "-in", sums)
            call(*given, "-out", f"{sums}.sig")
        else:
            call("-Sm", sums, "-s", secret)

    return public, sign


def test_k3s_that_anybody_could_have_changed(vm: K3sMachine) -> None:
    """By http:// and without a key nothing of k3s is taken, nor run."""
    folder = vm.folder / "good/k3s"
    vm.put("curl", _COPYING)
    before = vm.files()
    place = "http://releases.example/good"
    done = vm.bootstrap("good", "--from", place)
    assert done.returncode == 1
    assert f"{place}/k3s has no signature that was verified" in done.stdout
    assert "https:// or a directory, or demand a signature with --public-key" in done.stdout
    assert (vm.files() == before, (vm.folder / "vendor").exists()) == (True, False)
    public, sign = keys(vm, "openssl")
    sign(folder)
    sign(folder.parent)
    for options in (("--public-key", public), ("--from", "https://releases.example/good")):
        done = vm.bootstrap("good", "--from", place, *options, "--dry-run")
        assert done.returncode == 0, done.stdout


_COPYING = """#!/bin/sh
# What a web server has, from the folder.
for word; do
  case ${before:-} in -o) output=$word ;; esac
  before=$word
done
cp "FOLDER/${before#*://releases.example/}" "$output"
"""
