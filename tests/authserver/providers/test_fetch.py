from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.providers import fetch
from octelium.authserver.providers.fetch import Fetched, Fetcher, FetchError, Limits
from octelium.http.tasks import spawn
from tests.authserver.providers import trusting
from tests.http import certs
from tests.peers.https import HttpsServer, Request, Response, https_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from octelium.authserver.providers.addresses import Address

SECRET = "s3cr3t-value"


@pytest.fixture(name="server", scope="module")
def server_fixture() -> Iterator[HttpsServer]:
    with https_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(server: HttpsServer) -> None:
    server.requests.clear()
    server.routes.clear()


class Resolver:
    """Names to addresses, and how often it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: list[Address] = [ip_address(text) for text in addresses]
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[Address]:
        self.asked += 1
        return self.addresses


async def get(
    server: HttpsServer, path: str, *, limit: int = 1000, limits: Limits = trusting.PATIENT
) -> Fetched:
    return await trusting.fetcher(limits).get(
        server.origin + path, configured=server.origin, limit=limit
    )


def serve(server: HttpsServer, path: str, answer: Callable[[Request], Response]) -> None:
    server.routes[path] = answer


async def test_json(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response.json({"x": [1]}))
    answer = await get(server, "/a?b=c")
    assert answer.require_ok().json_object() == {"x": [1]}
    (request,) = server.requests
    assert request.query == {"b": "c"}
    assert request.headers["host"] == server.origin.removeprefix("https://")
    assert request.headers["accept-encoding"] == "identity"


async def test_statuses_are_the_callers_matter(server: HttpsServer) -> None:
    answer = await get(server, "/missing?token=" + SECRET)
    assert answer.status == 404
    with pytest.raises(FetchError, match="answers 404") as caught:
        answer.require_ok()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b'"x"', b"[" * 100_000])
async def test_what_is_no_json_object(server: HttpsServer, body: bytes) -> None:
    serve(server, "/a", lambda _: Response(body))
    answer = await get(server, "/a", limit=1 << 20)
    with pytest.raises(FetchError, match="no JSON object"):
        answer.json_object()


async def test_redirects_stay_within_the_origin(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response.redirect("b?c=d"))
    serve(server, "/b", lambda _: Response(b"here"))
    assert (await get(server, "/a")).body == b"here"
    for elsewhere in (
        "https://127.0.0.1" + server.origin.removeprefix("https://localhost"),
        "https://localhost:1/b",
        "//localhost:1/b",
        "https://example.com/",
    ):
        serve(server, "/a", lambda _, to=elsewhere: Response.redirect(to))
        with pytest.raises(FetchError, match="another origin"):
            await get(server, "/a")
    for unsafe in ("http://localhost/b", "ftp://localhost/b", "https://a:b@localhost/"):
        serve(server, "/a", lambda _, to=unsafe: Response.redirect(to))
        with pytest.raises(FetchError, match=r"no https URL|with a user"):
            await get(server, "/a")
    assert server.count("/b") == 1


async def test_redirects_end(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response.redirect("/a"))
    with pytest.raises(FetchError, match="too often"):
        await get(server, "/a")
    assert server.count("/a") == 4


async def test_sizes(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response(b"x" * 1001))
    with pytest.raises(FetchError, match="more than 1000 bytes"):
        await get(server, "/a")
    serve(server, "/a", lambda _: Response(b"x" * 1000))
    assert len((await get(server, "/a")).body) == 1000


async def test_nothing_is_unpacked(server: HttpsServer) -> None:
    bomb = gzip.compress(bytes(1 << 24))
    serve(server, "/a", lambda _: Response(bomb, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(FetchError, match="encoding"):
        await get(server, "/a", limit=1 << 20)


async def test_time_is_limited() -> None:
    go_on = threading.Event()

    def wait(_request: Request) -> Response:
        go_on.wait(60)
        return Response(b"late")

    with https_server() as server:  # its own: the request may come when all is over
        serve(server, "/a", wait)
        try:
            with pytest.raises(FetchError, match="in time"):
                await get(server, "/a", limits=replace(trusting.PATIENT, deadline=0.2))
        finally:
            go_on.set()


async def test_only_trusted_certificates_for_the_name(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response(b"{}"))
    client = Fetcher(limits=trusting.PATIENT)
    with pytest.raises(FetchError, match="certificate is not trusted"):
        await client.get(server.origin + "/a", configured=server.origin, limit=10)
    address = server.origin.replace("localhost", "127.0.0.1")
    with pytest.raises(FetchError, match="certificate is not trusted"):
        await trusting.fetcher().get(address, configured=address, limit=10)
    assert not server.requests


async def test_what_takes_long_to_load_holds_up_no_loop(
    server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def load() -> ssl.SSLContext:
        threads.append(threading.get_ident())
        return trusting.context()

    monkeypatch.setattr(fetch, "trust", load)
    server.routes["/a"] = lambda _: Response(b"a")
    client = Fetcher(limits=trusting.PATIENT)
    fetches = (client.get(server.origin + "/a", configured=server.origin, limit=9) for _ in "abc")
    assert [answer.body for answer in await asyncio.gather(*fetches)] == [b"a"] * 3
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "ftp://localhost/",
        "https:///a",
        "https://u:p@localhost/",
        "https://localhost:99999/",
        "https://local host/",
        "https://localhost/\n",
        "https://localhost/é",
        "",
        "localhost",
        "https://localhost/" + "a" * 5000,
    ],
)
async def test_urls_that_are_not_fetched(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        await trusting.fetcher().get(url, configured="https://localhost/", limit=10)
    assert "u:p" not in str(caught.value)


async def test_this_machine_only_where_the_configured_url_is_on_it(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response(b"{}"))
    for configured in ("https://idp.example.com", "https://192.168.1.2"):
        with pytest.raises(FetchError, match="is this machine"):
            await trusting.fetcher().get(server.origin + "/a", configured=configured, limit=10)
        with pytest.raises(FetchError, match="is this machine"):
            await trusting.fetcher().post(server.origin + "/a", {}, configured=configured, limit=10)
    assert not server.requests


async def test_link_local_addresses_are_never_asked(server: HttpsServer) -> None:
    for address in ("169.254.169.254", "fe80::1", "::ffff:169.254.169.254"):
        client = Fetcher(resolver=Resolver(address), context=trusting.context())
        with pytest.raises(FetchError, match=r"link|secrets"):
            await client.get(server.origin, configured=server.origin, limit=10)


async def test_the_address_that_was_judged_is_the_one_that_is_used(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response(b"{}"))
    resolver = Resolver("169.254.169.254", "::1", "127.0.0.1")  # nobody listens on ::1
    context = trusting.context()
    client = Fetcher(resolver=resolver, context=context, limits=trusting.PATIENT)
    answer = await client.get(server.origin + "/a", configured=server.origin, limit=10)
    assert answer.body == b"{}"
    assert resolver.asked == 1


async def test_names_without_an_address() -> None:
    class Nowhere:
        async def __call__(self, host: str, port: int) -> list[Address]:
            raise OSError(f"{host}:{port}")

    client = Fetcher(resolver=Nowhere())
    with pytest.raises(FetchError, match="no address"):
        await client.get("https://idp.example.com/", configured="https://x", limit=10)
    with pytest.raises(FetchError, match="no address"):
        await Fetcher(resolver=Resolver()).get("https://a/", configured="https://a", limit=10)


async def test_nobody_there() -> None:
    client = Fetcher(resolver=Resolver("127.0.0.1"), limits=trusting.PATIENT)
    with pytest.raises(FetchError, match="cannot be reached: Connection refused"):
        await client.get(
            "https://localhost:1/a?b=" + SECRET, configured="https://localhost", limit=1
        )


async def test_somebody_without_tls() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(FetchError, match=r"its TLS cannot be used \([A-Z_]+\)"):
            await trusting.fetcher().get(url, configured=url, limit=1)


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (replace(trusting.PATIENT, deadline=0.2), "does not answer in time"),
        (replace(trusting.PATIENT, connect=0.2), "cannot be reached: ConnectTimeout"),
    ],
)
async def test_who_is_silent_is_hung_up_on(limits: Limits, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/"
        with pytest.raises(FetchError, match=why):
            await trusting.fetcher(limits).get(url, configured=url, limit=1)
        silent.setblocking(False)
        try:
            connection, _ = silent.accept()
        except BlockingIOError:  # its time was over before it had connected
            return

        def until_the_end() -> None:
            with connection:
                connection.settimeout(60)
                while connection.recv(4096):
                    pass

        await asyncio.to_thread(until_the_end)


async def test_forms(server: HttpsServer) -> None:
    serve(server, "/t", lambda _: Response.json({"ok": 1}))
    answer = await trusting.fetcher().post(
        server.origin + "/t",
        {"code": "a b&c", "secret": SECRET},
        configured=server.origin,
        limit=100,
        headers={"Authorization": "Basic x"},
    )
    assert answer.json_object() == {"ok": 1}
    (request,) = server.requests
    assert request.form == {"code": "a b&c", "secret": SECRET}
    assert request.headers["authorization"] == "Basic x"
    assert SECRET not in repr(answer)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_forms_are_not_sent_on(server: HttpsServer, status: int) -> None:
    serve(server, "/t", lambda _: Response.redirect("/u", status))
    with pytest.raises(FetchError, match="redirects a POST"):
        await trusting.fetcher().post(
            server.origin + "/t", {"code": SECRET}, configured=server.origin, limit=100
        )
    assert not server.count("/u")


async def test_a_broken_answer(server: HttpsServer) -> None:
    serve(server, "/a", lambda _: Response(b"x", headers={"Bad Header\x00": "y"}))
    with pytest.raises(FetchError, match="does not answer: RemoteProtocolError"):
        await get(server, "/a")


async def test_a_rush_waits_instead_of_running_late(server: HttpsServer) -> None:
    lock, running, most = threading.Lock(), 0, 0
    full = threading.Event()
    at_once = Limits().at_once

    def count(_request: Request) -> Response:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == at_once:
                full.set()
        full.wait(60)
        time.sleep(0.01)  # time for one too many
        with lock:
            running -= 1
        return Response(b"{}")

    serve(server, "/a", count)
    client = trusting.fetcher()
    asked = (client.get(server.origin + "/a", configured=server.origin, limit=9) for _ in range(40))
    answers = await asyncio.gather(*asked)
    assert all(answer.status == 200 for answer in answers)
    assert most == at_once


async def test_whoever_waits_too_long_gives_up(server: HttpsServer) -> None:
    go_on = threading.Event()

    def wait(_request: Request) -> Response:
        go_on.wait(60)
        return Response(b"{}")

    serve(server, "/a", wait)
    client = trusting.fetcher(replace(trusting.PATIENT, patience=0.05, at_once=1))
    first, second = (
        spawn(client.get(server.origin + "/a", configured=server.origin, limit=9), name="fetch")
        for _ in range(2)
    )
    with pytest.raises(FetchError, match="too many at once"):
        await second
    go_on.set()
    assert (await first).status == 200
    assert (await client.get(server.origin + "/a", configured=server.origin, limit=9)).status == 200


def test_the_file_that_ssl_cert_file_names_is_trusted_beside_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = ssl.get_default_verify_paths()
    own = tmp_path / "ca.pem"
    own.write_bytes(certs.ca().chain)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    fetch.trust.cache_clear()
    try:
        subjects = {str(found["subject"]) for found in fetch.trust().get_ca_certs()}
    finally:
        fetch.trust.cache_clear()
    assert any("Test CA" in subject for subject in subjects)
    assert len(subjects) > 1 or not system.openssl_cafile


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_an_error(text: str) -> None:
    client = Fetcher(resolver=Resolver("169.254.169.254"))

    async def ask() -> None:
        with pytest.raises(FetchError):
            await client.get("https://" + text, configured="https://a", limit=1)

    asyncio.run(ask())
