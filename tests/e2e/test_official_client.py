"""The official Go client's calls against a Cluster; and ~/.ssh, which ours leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN, ROOT
from tests.e2e.documents import credential, workload
from tests.e2e.test_private_network import service, token
from tests.peers.namespaces import network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.namespaces import Namespace

ALREADY_EXISTS, NOT_FOUND, UNAUTHENTICATED, RESOURCE_EXHAUSTED = 6, 5, 16, 8


@dataclass
class World:
    """A Gateway, with clients on its own host."""

    cluster: SourceCluster
    host: Namespace
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("OCTELIUM")}
        return {**clean, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("official")
    with network(folder) as made:
        host = made.namespace("host")
        cluster = SourceCluster(
            folder / "cluster",
            workers=1,
            within=host.enter,
            environment={"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": "own"},
        )
        try:
            cluster.start()
            cluster.login()
            cluster.apply(
                workload("alice"),
                credential("alice-token", "alice", "AUTH_TOKEN", sessionType="CLIENT"),
                service("web", "HTTP", "http://127.0.0.1:8000", 80),
            )
            yield World(cluster, host, folder)
        finally:
            cluster.remove()


def test_every_call_of_the_official_client(world: World) -> None:
    """In its order, with its headers and the bytes of its messages."""
    cluster = world.cluster
    told = {
        "domain": DOMAIN,
        "port": cluster.port,
        "authority": str(cluster.data / "ca.pem"),
        "token": token(cluster, "alice-token"),
        "service": "web.default",
    }
    words = (sys.executable, "-m", "tests.peers.go_client", json.dumps(told))
    found: dict[str, Any] = json.loads(world.host.run(*words).stdout)
    assert found["status"][0] == found["authenticator"] == 0
    # Both are success to it: new tokens, and no need of any.
    assert found["refresh"] in (0, ALREADY_EXISTS)
    assert "web.default" in found["listed"]
    assert found["service"] == found["short"] == [0, ["web.default", 80]]
    assert found["missing"] == NOT_FOUND  # it tries others for 16 seconds
    assert found["gateways"] == 1
    assert found["name servers"]
    assert all(each.startswith("fdee:") for each in found["name servers"])  # it asked for IPv6
    # What was cancelled without a word is in grace, so that addresses stay.
    assert found["again"] == found["addresses"]
    assert found["configs"] == found["disconnect"] == 0
    assert (found["events"], found["end"]) == ([6], 0)  # `disconnect`, and no more
    assert (found["logout"], found["after"]) == (0, UNAUTHENTICATED)


_CHATTER = """
import json, sys
from tests.peers import go_client
told = json.loads(sys.argv[1])
connection = go_client.Connection(told)
status, message = connection.unary(
    "auth", "AuthenticateWithAuthenticationToken", go_client.text(1, told["token"])
)
access = ("x-octelium-auth", go_client.fields(message)[1][0].decode())
call = connection.open("user", "Connect", access)
call.send(go_client.text(1, b""))
found = [call.message() is not None]
for _ in range(10):
    call.send(b"")
found.append(connection.unary("user", "GetStatus", b"", access)[0])
found.append(call.ended)
connection.state.send_data(call.number, bytes(5 * 3000))
connection.flush()
found.append(connection.unary("user", "GetStatus", b"", access)[0])
print(json.dumps([*found, call.status()]))
"""


def test_a_client_that_says_too_much_is_ended_alone(world: World) -> None:
    """Messages that need no answer have a ration; those of the official client are far from it."""
    told = {
        "domain": DOMAIN,
        "port": world.cluster.port,
        "authority": str(world.cluster.data / "ca.pem"),
        "token": token(world.cluster, "alice-token"),
    }
    words = (sys.executable, "-c", _CHATTER, json.dumps(told))
    found = json.loads(world.host.run(*words, cwd=ROOT).stdout)
    assert found == [True, 0, False, 0, RESOURCE_EXHAUSTED]


@pytest.mark.parametrize("there", [True, False], ids=["with .ssh", "without"])
def test_ssh_files_stay_as_they_are(world: World, there: bool) -> None:
    """Official clients add lines of the Cluster's to ~/.ssh, so that it can log in to the host."""
    home = world.folder / f"home-{there}"
    home.mkdir()
    if there:
        ssh = home / ".ssh"
        ssh.mkdir(mode=0o700)
        for name in ("known_hosts", "authorized_keys", "config"):
            (ssh / name).write_text(f"# mine: {name}\n")

    def state() -> dict[str, tuple[bytes, int, int]]:
        found = {}
        for path in sorted((home / ".ssh").rglob("*")) if (home / ".ssh").exists() else ():
            about = path.stat()
            found[path.name] = (path.read_bytes(), about.st_mode, about.st_mtime_ns)
        return found

    before = state()
    cluster = world.cluster
    words = [sys.executable, "-m", "octelium", "connect", "--implementation", "gvisor"]
    words += ["--domain", DOMAIN, "--endpoint", f"127.0.0.1:{cluster.port}"]
    words += ["--ca-file", str(cluster.data / "ca.pem"), "--homedir", str(home / "state")]
    words += ["-p", "web:7003", "--serve-all"]
    own = {"HOME": str(home), "OCTELIUM_USER_HOME": str(home)}
    environment = world.environment(OCTELIUM_AUTH_TOKEN=token(cluster, "alice-token"), **own)
    pipe = subprocess.PIPE
    with world.host.process(*words, stderr=pipe, env=environment) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "Connected to" in line:
                break
        else:
            pytest.fail("".join(said))
        assert state() == before
        process.terminate()
        assert process.wait(60) == 0
    assert state() == before
    assert (home / ".ssh").exists() is there
