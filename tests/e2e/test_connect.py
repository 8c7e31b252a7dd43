"""`octelium connect` from behind a router that does NAT, as root and without any privilege."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from octelium.tunnel.link.sockets import LinkSockets
from tests.cluster.conftest import SourceCluster
from tests.e2e import echoes
from tests.e2e.cluster import DOMAIN, ROOT, wait_for
from tests.e2e.documents import credential, workload
from tests.peers.namespaces import network
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

GATEWAY = "192.0.2.1"
_PIDFD_GETFD = 438
_NAT = """
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname "to-host" masquerade; }
}
"""
_NO_UDP = """
table ip deaf {
  chain forward { type filter hook forward priority 0; udp dport 53820 drop; }
}
"""
_ALL = """
import socket
with socket.create_connection(("127.0.0.1", 7001), 60) as one:
    one.sendall(b"half" * 50_000)
    one.shutdown(socket.SHUT_WR)
    size = 0
    while data := one.recv(65536):
        size += len(data)
    print(size)
"""
_ASK = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.settimeout(60)
    one.sendto(b"hello", ("127.0.0.1", 7002))
    print(one.recv(100).decode())
"""
_OPEN = """
import socket
with socket.create_server(("0.0.0.0", 5432)) as one:
    print("ready", flush=True)
    while True:
        one.accept()
"""
_TALK = """
import socket, sys
with socket.create_connection(("127.0.0.1", 7001), 60) as one:
    for line in sys.stdin:
        one.sendall(line.encode())
        print(one.recv(4096).decode().strip() or "end", flush=True)
"""
_NOBODY = 65534
# An ordinary user, who may read files (the tests' interpreter may be root's alone), and do nothing
# else; with a device node that everybody may open, as most machines have it.
_ORDINARY = """
set -e
mount -t tmpfs none "$1"
mknod -m 666 "$1/tun" c 10 200
mount --bind "$1/tun" /dev/net/tun
shift
exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all,+dac_read_search \
    --inh-caps -all,+dac_read_search --ambient-caps -all,+dac_read_search -- "$@"
"""
_READS_FILES = "CapEff:\t0000000000000004\n"


class ReachableCluster(SourceCluster):
    """Listens everywhere in its namespace."""

    def up_command(self) -> list[str]:
        words = super().up_command()
        words[words.index("--listen") + 1] = f"0.0.0.0:{self.port}"
        return words


@dataclass
class World:
    """A Cluster, and somebody's host behind a router."""

    cluster: SourceCluster
    host: Namespace
    router: Namespace
    client: Namespace
    folder: Path
    tokens: dict[str, str]

    def address(self, service: str) -> str:
        told = json.loads(self.cluster.ctl("get", "service", service, "-o", "json"))
        return str(told["status"]["addresses"][0]["dualStackIP"]["ipv4"])

    def words(self, user: str, *arguments: str) -> list[str]:
        """A command of somebody, with a state directory of their own."""
        known = [
            "--domain",
            DOMAIN,
            "--endpoint",
            f"{GATEWAY}:{self.cluster.port}",
            "--ca-file",
            str(self.cluster.data / "ca.pem"),
            "--homedir",
            str(self.folder / user),
        ]
        return [sys.executable, "-m", "octelium", *arguments, *known]

    def environment(self, user: str) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("OCTELIUM")}
        return {**clean, "OCTELIUM_AUTH_TOKEN": self.tokens[user], "PYTHONPATH": str(ROOT)}

    def run(self, user: str, *arguments: str, **options: Any) -> str:
        words = self.words(user, *arguments)
        done = self.client.run(*words, env=self.environment(user), **options)
        return done.stdout + done.stderr

    def get(self, url: str, where: Namespace | None = None, *more: str) -> str:
        """Body and status of a response."""
        return self._get("60", url, where, *more)

    def is_deaf(self, url: str, where: Namespace | None = None) -> bool:
        """Whether there is no response within two seconds."""
        return self._get("2", url, where).endswith(" 000")

    def _get(self, seconds: str, url: str, where: Namespace | None, *more: str) -> str:
        words = [program("curl", "curl"), "-s", "-m", seconds, "-w", " %{http_code}", *more, url]
        return (where or self.client).run(*words, check=False).stdout


@dataclass
class Connected:
    """A running `octelium connect`."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.said.append(line.strip())

    def has_said(self, text: str) -> bool:
        has_ended = self.process.poll() is not None
        if has_ended:
            self.read_on()
        if has_ended and not any(text in line for line in self.said):
            pytest.fail(f"ended with {self.process.returncode}: {self.said}")
        return any(text in line for line in self.said)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end, and for its last words; its exit status."""
        status = self.process.wait(60)
        self.read_on()
        return status

    def read_on(self) -> None:
        """Read what an ended one has said; what it has left behind may have the pipe, too."""
        self._reader.join(60)


@contextlib.contextmanager
def connected(world: World, user: str, *arguments: str, prefix: tuple[str, ...] = ()) -> Any:
    words = [*prefix, *world.words(user, "connect", *arguments)]
    options: dict[str, Any] = {"stderr": subprocess.PIPE, "env": world.environment(user)}
    with world.client.process(*words, **options) as process:
        running = Connected(process)
        try:
            wait_for(lambda: running.has_said("Connected to"))
            yield running
        finally:
            process.kill()
            running.read_on()


def service(name: str, mode: str, upstream: dict[str, str], port: int) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "mode": mode,
            "port": port,
            "authorization": {"policies": ["allow-all"]},
            "config": {"upstream": upstream},
        },
    }


@pytest.fixture(scope="module")
def world(routed: World) -> World:
    return routed


@contextlib.contextmanager
def behind_a_router(folder: Path) -> Iterator[World]:
    with network(folder) as made:
        host, router, client = (made.namespace(name) for name in ("host", "router", "client"))
        made.cable(router, "192.0.2.2/24", host, f"{GATEWAY}/24")
        made.cable(client, "192.168.7.2/24", router, "192.168.7.1/24")
        client.ip("route add default via 192.168.7.1")
        router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        router.run(program("nft", "nftables"), "-f", "-", input=_NAT)
        cluster = ReachableCluster(
            folder / "cluster",
            workers=1,
            within=host.enter,
            environment={"OCTELIUM_TUNNEL": "on"},
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        echo = ROOT / "tests/e2e/echo.py"
        try:
            with (
                host.process(sys.executable, echo, "8000", **quiet),
                host.process(sys.executable, "-c", echoes.STREAMS, **quiet),
                host.process(sys.executable, "-c", echoes.DATAGRAMS, **quiet),
                client.process(sys.executable, echo, "9000", **quiet),
                client.process(sys.executable, "-c", echoes.DATAGRAMS, **quiet),
            ):
                made_world = _running(cluster, host, router, client, folder)
                echoes.wait_until_bound(host, "tcp 8000", "tcp 8001", "udp 8002")
                echoes.wait_until_bound(client, "tcp 9000", "udp 8002")
                yield made_world
        finally:
            cluster.remove()


def _running(
    cluster: SourceCluster, host: Namespace, router: Namespace, client: Namespace, folder: Path
) -> World:
    cluster.start()
    cluster.login()
    users = ("alice", "bob")
    cluster.apply(
        *(workload(name) for name in users),
        *(credential(f"{name}-token", name, "AUTH_TOKEN", sessionType="CLIENT") for name in users),
        service("web", "HTTP", {"url": "http://127.0.0.1:8000"}, 80),
        service("raw", "TCP", {"url": "tcp://127.0.0.1:8001"}, 7),
        service("datagrams", "UDP", {"url": "udp://127.0.0.1:8002"}, 7),
        service("home", "HTTP", {"url": "http://127.0.0.1:9000", "user": "alice"}, 80),
        service("bells", "UDP", {"url": "udp://127.0.0.1:8002", "user": "alice"}, 7),
    )
    tokens = {}
    for name in users:
        words = ("create", "credential", f"{name}-token", "--rotate", "-o", "json")
        found = json.loads(cluster.ctl(*words))
        tokens[name] = found["authenticationToken"]["authenticationToken"]
    return World(cluster, host, router, client, folder, tokens)


PUBLISHED = ("-p", "raw:7001", "-p", "datagrams:7002", "-p", "web:7003")


@pytest.mark.parametrize("side", ["tun", "gvisor"])
@pytest.mark.parametrize("engine", ["own", "wireguard-go"])
def test_published_services_answer(world: World, side: str, engine: str) -> None:
    if engine == "wireguard-go":
        program("wireguard-go", "wireguard-go")
    words = ("--implementation", side, "--engine", engine, *PUBLISHED)
    with connected(world, "alice", *words) as running:
        assert world.client.run(sys.executable, "-c", _ALL).stdout == "200000\n"
        assert world.client.run(sys.executable, "-c", _ASK).stdout == "hello\n"
        assert world.get("http://127.0.0.1:7003/").endswith(" 200")
        told = json.loads(world.run("alice", "status", "-o", "json"))["connection"]
        assert (told["state"], told["engine"]) == ("connected", engine)
        (gateway,) = told["gateways"]
        assert gateway["endpoint"] == f"{GATEWAY}:53820"
        assert gateway["lastHandshake"]
        assert gateway["received"] > 0
        direct = f"http://{world.address('web')}/"
        assert world.get(direct).endswith(" 200") if side == "tun" else world.is_deaf(direct)
        assert running.end() == 0
    assert "octelium" not in world.client.run("ip", "-o", "link").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="not verified: run the tests as root")
def test_an_ordinary_user(world: World) -> None:
    with tempfile.TemporaryDirectory() as name:
        # Everybody may pass through its parents, unlike those of the test's own folder.
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("node", "bob"):
            (folder / each).mkdir(mode=0o700)
        os.chown(folder / "bob", _NOBODY, _NOBODY)
        prefix = ("unshare", "--mount", "sh", "-c", _ORDINARY, "sh", str(folder / "node"))
        theirs = replace(world, folder=folder)
        with connected(theirs, "bob", "-p", "web:7003", prefix=prefix) as running:
            assert world.get("http://127.0.0.1:7003/").endswith(" 200")
            assert _READS_FILES in Path(f"/proc/{running.process.pid}/status").read_text()
            assert running.end() == 0


@pytest.mark.parametrize("side", ["tun", "gvisor"])
def test_a_service_behind_the_router_is_served(world: World, side: str) -> None:
    ports = ("-p", "home:7004", "-p", "bells:7002")
    with connected(world, "alice", "--serve-all", "--implementation", side, *ports) as it:
        assert world.client.run(sys.executable, "-c", _ASK).stdout == "hello\n"
        wait_for(lambda: world.get("http://127.0.0.1:7004/").endswith(" 200"))
        told = json.loads(world.run("alice", "status", "-o", "json"))["connection"]
        upstreams = {each["service"]: each["upstream"] for each in told["served"]}
        assert upstreams == {"home.default": "127.0.0.1:9000", "bells.default": "127.0.0.1:8002"}
        (served,) = (each for each in told["served"] if each["service"] == "home.default")
        address = told["addresses"][0].removesuffix("/32")
        # Another host of the same network is none of the Cluster's, even with a route.
        world.router.ip(f"route replace {address} via 192.168.7.2")
        assert world.is_deaf(f"http://{address}:{served['port']}/", world.router)
        assert it.end() == 0


def door_of(process: int) -> socket.socket:
    """That by which a process of the Cluster asks for sockets, taken as a debugger may."""
    variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    (text,) = (each for each in variables if each.startswith(b"OCTELIUM_CHILD="))
    (number,) = json.loads(text.partition(b"=")[2])["descriptors"]["link"]
    handle = os.pidfd_open(process)
    taken = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, handle, number, 0)
    os.close(handle)
    assert taken >= 0, os.strerror(ctypes.get_errno())
    return socket.socket(fileno=taken)


def test_the_cluster_itself_reaches_what_is_served_alone(world: World) -> None:
    """A process of the Cluster that somebody else has taken over dials as any Service."""
    with (
        connected(world, "alice", "--serve-all", "--implementation", "tun"),
        world.client.process(sys.executable, "-c", _OPEN, stdout=subprocess.PIPE) as database,
    ):
        assert database.stdout is not None
        assert database.stdout.readline() == "ready\n"
        told = json.loads(world.run("alice", "status", "-o", "json"))["connection"]
        address = told["addresses"][0].removesuffix("/32")
        (port,) = (each["port"] for each in told["served"] if each["service"] == "home.default")

        door = door_of(world.cluster.children()["worker-0"])

        async def reaches(port: int) -> bool:
            sockets = LinkSockets(door)
            with await sockets.dial("tcp", socket.AF_INET, world.address("web")) as made:
                made.settimeout(2)
                try:
                    await asyncio.to_thread(made.connect, (address, port))
                except TimeoutError:
                    return False
                finally:
                    sockets.close()
            return True

        wait_for(lambda: asyncio.run(reaches(port)))
        assert not asyncio.run(reaches(5432))
        door.close()
        assert "table inet octelium-" in world.client.run("nft", "list", "tables").stdout
    assert "octelium" not in world.client.run("nft", "list", "tables").stdout


def test_nobodys_ssh_files_are_written(world: World, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    files = [tmp_path / ".ssh" / name for name in ("authorized_keys", "known_hosts")]
    for file in files:
        file.write_text("# mine\n")
    prefix = ("env", f"HOME={tmp_path}", f"OCTELIUM_USER_HOME={tmp_path}")
    with connected(world, "alice", "--implementation", "tun", prefix=prefix) as it:
        assert [file.read_text() for file in files] == ["# mine\n"] * 2
        assert it.end() == 0
    assert [file.read_text() for file in files] == ["# mine\n"] * 2


def test_a_second_one_is_told_of_the_first(world: World) -> None:
    with connected(world, "alice", "--implementation", "gvisor"):
        done = world.client.run(
            *world.words("alice", "connect", "--implementation", "gvisor"),
            env=world.environment("alice"),
            check=False,
        )
        assert done.returncode == 1
        assert "is connected already" in done.stderr


@pytest.mark.parametrize("side", ["tun", "gvisor"])
def test_in_the_background(world: World, side: str) -> None:
    told = world.run("alice", "connect", "-d", "--implementation", side, "-p", "web:7003")
    assert "in the background" in told
    assert world.get("http://127.0.0.1:7003/").endswith(" 200")
    assert world.tokens["alice"] not in world.client.run("ps", "-eo", "args").stdout
    assert "Disconnected" in world.run("alice", "disconnect")
    assert world.is_deaf("http://127.0.0.1:7003/")
    assert "connection" not in json.loads(world.run("alice", "status", "-o", "json"))


def test_open_connections_outlive_the_control_process(world: World) -> None:
    with connected(world, "alice", "--implementation", "gvisor", "-p", "raw:7001") as running:
        talk = (sys.executable, "-u", "-c", _TALK)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with world.client.process(*talk, **pipes) as talking:
            assert _say(talking, "before") == "before"
            old = world.cluster.kill("control")
            wait_for(lambda: world.cluster.children().get("control", old) != old)
            wait_for(lambda: running.has_said("Connected again"))
            assert _say(talking, "after") == "after"
        assert running.end() == 0


def test_the_cluster_ends_it(world: World) -> None:
    with connected(world, "alice", "--implementation", "gvisor") as running:
        world.run("alice", "disconnect")
        assert running.ended() == 0


def _say(talking: subprocess.Popen[str], line: str) -> str:
    assert talking.stdin is not None
    assert talking.stdout is not None
    talking.stdin.write(f"{line}\n")
    talking.stdin.flush()
    return talking.stdout.readline().strip()


@pytest.mark.parametrize("mode", ["v4", "v6"])
def test_one_family_alone(world: World, mode: str) -> None:
    with connected(world, "alice", "--ip-mode", mode, "-p", "web:7003", "-p", "raw:7001"):
        told = json.loads(world.run("alice", "status", "-o", "json"))["connection"]
        assert [":" in each for each in told["addresses"]] == [mode == "v6"]
        assert world.client.run(sys.executable, "-c", _ALL).stdout == "200000\n"
        # Every program may come by the loopback interface's name, but not pages by another's.
        assert world.get("http://localhost:7003/").endswith(" 200")
        foreign = ("-H", "Host: rebinding.example")
        assert world.get("http://127.0.0.1:7003/", None, *foreign).endswith(" 421")


def test_datagrams_that_nobody_answers_are_told_of(world: World) -> None:
    nft = program("nft", "nftables")
    world.router.run(nft, "-f", "-", input=_NO_UDP)
    words = [*world.words("alice", "connect", "--implementation", "gvisor"), "-p", "raw:7001"]
    options: dict[str, Any] = {"stderr": subprocess.PIPE, "env": world.environment("alice")}
    try:
        with world.client.process(*words, **options) as process:
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                if "no answer" in line:
                    assert f"{GATEWAY} port 53820 (UDP)" in line
                    world.router.run(nft, "delete", "table", "ip", "deaf")
                if "Connected to" in line:
                    break
            assert "no answer" in said
            assert "The gateway answers." in said
    finally:
        world.router.run(nft, "delete", "table", "ip", "deaf", check=False)


@pytest.mark.parametrize("side", ["tun", "gvisor"])
def test_one_that_is_killed_leaves_nothing(world: World, side: str) -> None:
    def left() -> tuple[str, str]:
        run = world.client.run
        return run("ip", "-o", "link").stdout, run("ip", "route", "show", "table", "all").stdout

    wait_for(lambda: "octelium" not in left()[0])  # of the test before
    before = left()
    for _ in range(2):
        with connected(world, "alice", "--implementation", side, "-p", "web:7003") as running:
            running.process.kill()
            running.process.wait(60)
        wait_for(lambda: left() == before)


def test_a_session_that_is_deleted_ends_it(world: World) -> None:
    with connected(world, "bob", "--implementation", "gvisor", "-p", "raw:7001") as running:
        status = json.loads(world.run("bob", "status", "-o", "json"))
        with world.client.process(
            sys.executable, "-u", "-c", _TALK, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as talking:
            assert _say(talking, "before") == "before"
            world.cluster.ctl("delete", "session", status["session"]["metadata"]["name"])
            assert _say(talking, "after") != "after"
        assert running.ended() == 0
    assert "Disconnected:" in running.said[-1]
