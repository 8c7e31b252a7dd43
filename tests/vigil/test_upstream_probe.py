from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.tls import load_certificate
from octelium.vigil import served, upstream_probe
from octelium.vigil.containers import Containers
from octelium.vigil.origins import Origins as VigilOrigins
from octelium.vigil.upstream_probe import UpstreamProber
from tests.http import certs
from tests.http.origins import Origins
from tests.ingress.private_world import L4, WIKI, connected, private_world
from tests.vigil.world import MODES, contained, containers, secret, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.message import Message

    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.vigil.upstream_probe import Probed


def tls_server() -> ssl.SSLContext:
    """For `localhost`, by the tests' authority."""
    pair = certs.server("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(context, pair.chain, pair.key)
    return context


async def probed(made: core.Service, *others: Message, patience: float = 60) -> Probed:
    async with world() as it:
        it.feed.put(made, *others)
        entry = it.replica.services[made.metadata.uid]
        (found,) = await UpstreamProber(it.vigil.environment, patience=patience).ask(entry)
        assert found.service == made.metadata.name
        assert bool(found.remedy) == (found.outcome in ("warn", "fail"))
        return found


@asynccontextmanager
async def origin(*answers: bytes, **options: Any) -> AsyncIterator[Origins]:
    made = Origins()
    made.answers = list(answers)
    await made.start(**options)
    try:
        yield made
    finally:
        await made.close()


async def test_an_upstream_that_answers() -> None:
    async with origin() as it:
        found = await probed(service(url=f"http://127.0.0.1:{it.port}"))
        assert found.outcome == "ok"
        assert found.detail.startswith("HEAD / is answered with 200 in ")
        assert found.upstream == f"127.0.0.1:{it.port}"
        lines = it.requests[0].lower().split(b"\r\n")
        assert lines[0] == b"head / http/1.1"
        assert set(lines[1:-2]) == {
            b"host: 127.0.0.1:%d" % it.port,
            b"user-agent: octelium-doctor",
        }


async def test_no_credentials_are_sent() -> None:
    async with origin() as it:
        made = service(url=f"http://127.0.0.1:{it.port}")
        made.spec.config.http.auth.bearer.from_secret = "token"
        async with world() as there:
            there.feed.put(secret("token", b"the-secret"), made)
            entry = there.replica.services[made.metadata.uid]
            (found,) = await UpstreamProber(there.vigil.environment, patience=60).ask(entry)
        assert found.outcome == "ok"
        assert b"the-secret" not in it.requests[0]


@pytest.mark.parametrize(("status", "outcome"), [(404, "ok"), (401, "ok"), (503, "warn")])
async def test_any_answer_is_one_and_faults_are_told(status: int, outcome: str) -> None:
    async with origin(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status) as it:
        found = await probed(service(url=f"http://127.0.0.1:{it.port}"))
        assert (found.outcome, f"answered with {status}" in found.detail) == (outcome, True)


async def test_nobody_listens() -> None:
    found = await probed(service(url="http://127.0.0.1:1"))
    assert found.outcome == "fail"
    assert found.remedy.startswith("start it")


async def test_it_is_silent() -> None:
    async with origin(b"HTTP/1.1 ") as it:
        found = await probed(service(url=f"http://127.0.0.1:{it.port}"), patience=0.05)
        assert (found.outcome, found.detail) == ("fail", "no answer within 0.05 s")
        assert "firewall" in found.remedy


async def test_it_closes_at_once_or_talks_nonsense() -> None:
    for answer in (b"", b"nonsense\r\n\r\n"):
        async with origin(answer) as it:
            found = await probed(service(url=f"http://127.0.0.1:{it.port}"))
            assert found.outcome == "fail"


async def test_a_certificate_that_nobody_trusts_and_one_that_is() -> None:
    context = tls_server()
    async with origin(tls=context) as it:
        made = service(url=f"https://localhost:{it.port}")
        found = await probed(made)
        assert found.outcome == "fail"
        assert "trustedCAs" in found.remedy
        made.spec.config.tls.trusted_c_as.append(certs.ca().chain.decode())
        assert (await probed(made)).outcome == "ok"


async def test_grpc_is_asked_for_its_health() -> None:
    async with origin() as it:  # which speaks HTTP/1.1
        made = service(url=f"http://127.0.0.1:{it.port}", mode=MODES.GRPC)
        found = await probed(made)
        assert found.outcome in ("warn", "fail")


async def test_services_that_have_no_upstream() -> None:
    made = service(url="http://127.0.0.1:1", is_disabled=True)
    assert (await probed(made)).detail == "the Service is disabled"
    made = service()
    made.spec.config.http.response.direct.inline = "hello"
    assert (await probed(made)).detail == "the Cluster answers, as configured"
    made = service()
    made.status.managed_service.type = "authserver"
    assert (await probed(made)).detail == "the Cluster itself answers"
    found = await probed(service(mode=MODES.SSH))
    assert (found.outcome, found.detail) == (
        "warn", "mode SSH is stored but not served by this version"
    )  # fmt: skip


async def test_a_service_that_cannot_be_served() -> None:
    found = await probed(service())
    assert (found.outcome, found.remedy) == (
        "fail", "correct the Service: octeliumctl edit service wiki.default"
    )  # fmt: skip


async def test_streams() -> None:
    async with origin() as it:
        found = await probed(service(url=f"tcp://127.0.0.1:{it.port}", mode=MODES.TCP))
        assert found.outcome == "ok"
        assert found.detail.startswith("it takes connections")
    found = await probed(service(url="tcp://127.0.0.1:1", mode=MODES.TCP))
    assert (found.outcome, found.upstream) == ("fail", "127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            made = service(url=f"tcp://127.0.0.1:{port}", mode=MODES.TCP)
            found = await probed(made, patience=0.05)
            assert found.detail == "no answer within 0.05 s"


async def test_streams_over_tls() -> None:
    async with origin(tls=tls_server()) as it:
        made = service(url=f"tls://localhost:{it.port}", mode=MODES.TCP)
        found = await probed(made)
        assert (found.outcome, "trustedCAs" in found.remedy) == ("fail", True)
        made.spec.config.tls.trusted_c_as.append(certs.ca().chain.decode())
        found = await probed(made)
        assert found.detail.startswith("TLS is spoken")


async def test_datagrams_are_not_sent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.05)
        url = f"udp://127.0.0.1:{bound.getsockname()[1]}"
        found = await probed(service(url=url, mode=MODES.UDP))
        assert found.outcome == "skipped"
        with pytest.raises(TimeoutError):
            bound.recv(1)


async def test_upstreams_at_connected_users() -> None:
    async with private_world() as it:
        for name, mode, url in (
            ("wiki.default", MODES.HTTP, "http://wiki.internal:8080"),
            ("raw.default", MODES.TCP, "tcp://raw.internal:7"),
            ("bells.default", MODES.UDP, "udp://bells.internal:7"),
        ):
            made = service(name, url, mode=mode)
            made.spec.config.upstream.user = "alice"
            it.feed.put(made)
        prober = UpstreamProber(it.vigil.environment)
        for name in ("wiki.default", "raw.default", "bells.default"):
            (found,) = await prober.ask(it.replica.services[f"uid-{name}"])
            assert found.outcome == "fail", found
            assert "no connected Session of User alice serves" in found.detail
        host = connected("host-1", "127.65.0.21", serves={"uid-bells.default": 7}, l4=L4.UDP)
        it.feed.put(host)
        (found,) = await prober.ask(it.replica.services["uid-bells.default"])
        assert found.outcome == "skipped"
        assert found.detail.startswith("1 connected Session for it")


async def test_a_client_that_serves_what_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection before it dials further: taking one proves nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if runs:
            await reader.read()
        writer.close()

    monkeypatch.setattr(served, "CONNECT", 60.0)
    monkeypatch.setattr(upstream_probe, "_CLOSED_WITHIN", 60.0)
    async with private_world() as it:
        there = await asyncio.start_server(serve, "127.65.0.21", 0)
        port = there.sockets[0].getsockname()[1]
        for name, mode, url in (
            ("wiki.default", MODES.HTTP, "http://127.0.0.1:8080"),
            ("raw.default", MODES.TCP, "tcp://127.0.0.1:7"),
        ):
            made = service(name, url, mode=mode)
            made.spec.config.upstream.user = "alice"
            made.status.addresses.add().dual_stack_ip.ipv4 = WIKI
            it.feed.put(made)
        serves = {"uid-wiki.default": port, "uid-raw.default": port}
        it.feed.put(connected("host-1", "127.65.0.21", serves=serves))
        prober = UpstreamProber(it.vigil.environment, patience=600)
        runs = False
        for name, shown in (("wiki", "127.0.0.1:8080"), ("raw", "127.0.0.1:7")):
            (found,) = await prober.ask(it.replica.services[f"uid-{name}.default"])
            assert (found.outcome, found.upstream) == ("fail", f"{shown} at User alice")
            assert found.remedy.startswith("start it where it is")
        runs = True
        monkeypatch.setattr(upstream_probe, "_CLOSED_WITHIN", 0.1)
        (found,) = await prober.ask(it.replica.services["uid-raw.default"])
        assert found.outcome == "ok"
        there.close()
        (found,) = await prober.ask(it.replica.services["uid-raw.default"])
        assert (found.outcome, found.remedy) == ("fail", "run `octelium doctor` where it is")
        assert not found.detail.endswith(": ")


async def test_many_at_once_have_their_turns() -> None:
    async with origin() as it, world() as there:
        made = [service(f"s{n}.default", f"http://127.0.0.1:{it.port}") for n in range(30)]
        there.feed.put(*made)
        prober = UpstreamProber(there.vigil.environment, patience=60)
        entries = [there.replica.services[each.metadata.uid] for each in made]
        found = await asyncio.gather(*map(prober.ask, entries))
        assert {each.outcome for (each,) in found} == {"ok"}


async def test_a_container() -> None:
    for mode in (MODES.HTTP, MODES.TCP, MODES.UDP):
        found = await probed(contained(mode=mode))
        assert (found.outcome, found.upstream) == ("warn", "container")
        assert found.detail == "the container is starting"
        assert "octeliumctl describe service wiki.default" in found.remedy
    found = await probed(contained(), containers(own="CrashLoopBackOff"))
    assert (found.outcome, found.detail) == ("fail", "the container is not ready: CrashLoopBackOff")
    async with origin() as it:
        for mode in (MODES.HTTP, MODES.TCP):
            state = containers(own=("127.0.0.1", it.port))
            assert (await probed(contained(mode=mode), state)).outcome == "ok"
    for mode in (MODES.HTTP, MODES.TCP):
        found = await probed(contained(mode=mode), containers(own=("127.0.0.1", 1)))
        assert found.outcome == "fail"
        assert "upstream.container" in found.remedy


async def test_a_container_without_a_controller() -> None:
    async with world() as it:
        it.feed.put(contained())
        it.environment.containers = Containers(it.replica, is_managed=False)
        it.environment.origins = VigilOrigins(it.environment.secret, it.environment.containers)
        prober = UpstreamProber(it.environment)
        (found,) = await prober.ask(it.entry())
        assert (found.outcome, found.upstream) == ("fail", "container")
        assert "no controller" in found.detail
        assert "Kubernetes" in found.remedy


async def test_an_update_of_a_container_that_is_stuck() -> None:
    async with origin() as it, world() as there:
        state = containers(own=("127.0.0.1", it.port))
        made = contained()
        there.feed.put(made, state)
        prober = UpstreamProber(there.vigil.environment, patience=60)
        entry = there.replica.services[made.metadata.uid]
        for reason, outcomes in (
            ("Starting", ["ok"]),
            ("ImagePullBackOff", ["ok", "warn"]),
            ("<b>", ["ok", "warn"]),
        ):
            state.status.containers[0].reason = reason
            there.feed.put(state)
            found = await prober.ask(entry)
            assert [each.outcome for each in found] == outcomes
            assert "<b>" not in found[-1].detail
        assert "describe service wiki.default" in found[-1].remedy
