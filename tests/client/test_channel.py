from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import grpc
import pytest

from octelium import __version__
from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.settings import Target
from octelium.client.stub import Stub
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.standin import DOMAIN, Authority, StandIn, _Handler

if TYPE_CHECKING:
    from pathlib import Path

_SERVICE = user.DESCRIPTOR.services_by_name["MainService"]


def ask(target: Target, warnings: list[str] | None = None) -> str:
    """Who the API says that the caller is."""
    said: list[str] = [] if warnings is None else warnings
    with open_channel(target, said.append) as channel:
        stub = Stub(channel, _SERVICE, sleep=lambda _: None)
        metadata = (("x-octelium-auth", "access-1"),)
        reply = stub.call("GetStatus", user.GetStatusRequest(), metadata, deadline=60)
        return str(reply.user.metadata.name)


def target(
    cluster: StandIn,
    *,
    host: str = "127.0.0.1",
    name: str = f"octelium-api.{DOMAIN}",
    ca: bytes | None = None,
    insecure: bool = False,
) -> Target:
    cluster.new_session()
    cluster.generation = 1
    return Target(DOMAIN, host, cluster.port, name, ca or cluster.authority.pem, insecure)


def test_clients_name_themselves_as_the_official_ones(cluster: StandIn) -> None:
    assert ask(target(cluster)) == "root"
    assert cluster.calls[0].metadata["user-agent"].startswith(f"octelium-cli/{__version__} ")


def test_names_below_localhost_are_loopback(cluster: StandIn) -> None:
    assert ask(target(cluster, host="octelium-api.octelium.localhost")) == "root"


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask(target(cluster)) == "root"


def test_an_unknown_authority_is_refused_with_a_remedy(cluster: StandIn) -> None:
    with pytest.raises(ApiError, match="authority this computer does not trust") as caught:
        ask(target(cluster, ca=Authority.new("other").pem))
    assert "--ca-file" in caught.value.remedy
    assert cluster.calls == []


def test_a_certificate_for_another_name_is_refused(cluster: StandIn) -> None:
    with pytest.raises(ApiError, match="certificate is for another name") as caught:
        ask(target(cluster, name="evil.test"))
    assert "--tls-server-name" in caught.value.remedy
    assert cluster.calls == []


@pytest.mark.parametrize(
    ("begins", "ends", "said"), [(-30, -10, "has expired"), (10, 30, "is not valid yet")]
)
def test_a_certificate_of_another_time_is_refused(
    begins: int, ends: int, said: str, authority: Authority
) -> None:
    """As the Cluster's old one is, and every one where this computer's clock is wrong."""
    server = StandIn(authority, certificate_days=(begins, ends)).start()
    try:
        with pytest.raises(ApiError, match=f"certificate {said} by the clock") as caught:
            ask(target(server))
    finally:
        server.stop()
    assert "set the clock if it is wrong" in caught.value.remedy


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(ApiError, match=r"the name api\.nosuch\.invalid cannot be") as caught:
        ask(Target("nosuch.invalid", "api.nosuch.invalid", 443, "api.nosuch.invalid"))
    assert "--domain" in caught.value.remedy


def test_a_port_of_something_else(cluster: StandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = cluster.port = plain.getsockname()[1]

        def answer() -> None:
            plain.settimeout(0.2)
            while not over.is_set():
                with suppress(OSError):
                    peer = plain.accept()[0]
                    with peer:
                        peer.recv(65536)
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        over = threading.Event()
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with pytest.raises(ApiError, match=f"127.0.0.1:{port} does not speak TLS") as caught:
                ask(target(cluster))
        finally:
            over.set()
            thread.join()
    assert "port of the endpoint" in caught.value.remedy


def test_nobody_listens(cluster: StandIn) -> None:
    with closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        cluster.port = reserved.getsockname()[1]
        with pytest.raises(ApiError, match="cannot reach the Cluster's API") as caught:
            ask(target(cluster))
    assert "--endpoint" in caught.value.remedy


def test_without_verification_whatever_certificate_is_shown_is_taken(cluster: StandIn) -> None:
    warnings: list[str] = []
    name = "other.test"
    other = Authority.new("other").pem
    assert ask(target(cluster, name=name, ca=other, insecure=True), warnings) == "root"
    assert len(warnings) == 1
    assert "not verified" in warnings[0]


def test_grpc_itself_says_nothing(cluster: StandIn) -> None:
    code = (
        "import sys, octelium.client.stub\n"  # whichever module comes first
        "from octelium.client.channel import open_channel\n"
        "from octelium.client.settings import Target\n"
        f"channel = open_channel(Target('d', '127.0.0.1', {cluster.port}, 'd', None), print)\n"
        "try: channel.unary_unary('/a.b/C')(b'', timeout=60)\n"
        "except Exception: print('failed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("failed\n", "")


def test_a_socket_that_adds_the_identity(cluster: StandIn, tmp_path: Path) -> None:
    cluster.check_tokens = False
    path = tmp_path / "proxy.sock"
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((_Handler(cluster),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    assert ask(Target(DOMAIN, "unused", 1, "unused", socket=str(path))) == "root"
    server.stop(None).wait()


def test_names_are_looked_up_by_the_hosts_own_resolver() -> None:
    """Whose words say so: grpc's own resolver would go through the search list."""
    code = (
        "from octelium.client.channel import open_channel\n"
        "from octelium.client.settings import Target\n"
        "from octelium.client.stub import Stub\n"
        "from octelium.schema.pb import user_v1_pb2 as user\n"
        "target = Target('lab.invalid', 'octelium-api.lab.invalid', 443, 'x', None, False)\n"
        "stub = Stub(open_channel(target, print), user.DESCRIPTOR.services_by_name['MainService'],"
        " sleep=lambda _: None)\n"
        "try:\n"
        "    stub.call('GetStatus', user.GetStatusRequest(), deadline=60)\n"
        "except Exception as error:\n"
        "    print(error.__cause__ or error.__context__)\n"
    )
    words = [sys.executable, "-c", code]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    said = subprocess.run(
        words, env=environ, capture_output=True, text=True, check=True, timeout=300
    ).stdout
    assert "getaddrinfo" in said
