"""What is asked of the API server, and what is made of whatever it answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import itertools
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.kube.account import Account
from octelium.controller.kube.api import LONGEST_WAIT, Api
from octelium.controller.kube.errors import (
    AbsentError,
    BusyError,
    ConflictError,
    ExpiredError,
    KubeError,
    RefusedError,
)
from octelium.controller.kube.kinds import DEPLOYMENT, LEASE, POD, SECRET
from tests.controller.kube.answering import Answering, Request, answer, stream_begins

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

OBJECT = {"metadata": {"name": "a", "uid": "u"}}


MERGE = "application/merge-patch+json"


def saying(*answers: bytes) -> Any:
    """A handler that gives one answer after the other, the last one again and again."""
    left = list(answers)

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return handle


def status(code: int, message: str, **headers: str) -> bytes:
    return answer(code, {"kind": "Status", "message": message, "code": code}, **headers)


async def test_each_call_asks_what_it_is_to_ask() -> None:
    async with Answering(saying(answer(200, OBJECT))) as server:
        api = Api(Account(server.url), "ns")
        assert await api.get(SECRET, "a") == OBJECT
        await api.apply(DEPLOYMENT, OBJECT, within=5)
        await api.create(LEASE, OBJECT)
        await api.replace(LEASE, OBJECT)
        await api.delete(SECRET, "a", "u")
        await api.merge(SECRET, OBJECT, within=5)
        await api.close()
    asked = [(one.method, one.target) for one in server.requests]
    leases = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
    manager = "fieldManager=octelium-controller"
    assert asked == [
        ("GET", "/api/v1/namespaces/ns/secrets/a"),
        ("PATCH", f"/apis/apps/v1/namespaces/ns/deployments/a?{manager}&force=true"),
        ("POST", f"{leases}?{manager}"),
        ("PUT", f"{leases}/a?{manager}"),
        ("DELETE", "/api/v1/namespaces/ns/secrets/a"),
        ("PATCH", f"/api/v1/namespaces/ns/secrets/a?{manager}"),
    ]
    types = [one.headers.get("content-type") for one in server.requests]
    assert types == [None, "application/apply-patch+yaml", *["application/json"] * 3, MERGE]
    assert json.loads(server.requests[1].body) == OBJECT
    options = json.loads(server.requests[4].body)
    assert options["preconditions"] == {"uid": "u"}
    assert options["propagationPolicy"] == "Background"


async def test_a_list_is_read_page_by_page() -> None:
    first = {"metadata": {"continue": "more", "resourceVersion": "7"}, "items": [{"a": 1}]}
    last = {"metadata": {"resourceVersion": "7"}, "items": [{"a": 2}]}
    empty = {"metadata": {"resourceVersion": "9"}, "items": None}
    async with Answering(saying(*(answer(200, one) for one in (first, last, empty)))) as server:
        api = Api(Account(server.url), "ns")
        listing = await api.list(POD, "x=y")
        assert [one["a"] for one in listing.objects] == [1, 2]
        assert listing.objects[0]["kind"] == "Pod"
        assert listing.objects[0]["apiVersion"] == "v1"
        assert listing.version == "7"
        assert (await api.list(POD)).objects == ()
        await api.close()
    assert "labelSelector=x%3Dy" in server.requests[0].target
    assert "continue=more" in server.requests[1].target


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (status(403, "pods is forbidden"), RefusedError, "pods is forbidden"),
        (status(404, "not found"), AbsentError, "not found"),
        (status(409, "changed"), ConflictError, "changed"),
        (status(410, "too old"), ExpiredError, "too old"),
        (status(422, "invalid"), RefusedError, "invalid"),
        (status(503, "starting"), BusyError, "starting"),
        (answer(502, b"<html>"), BusyError, "answers 502"),
        (answer(500, b""), BusyError, "answers 500"),
        (answer(500, b"[]"), BusyError, "answers 500"),
        (answer(500, b"{}"), BusyError, "answers 500"),
        (answer(301, b"", Location="http://127.0.0.1:1/"), BusyError, "answers 301"),
        (answer(200, b"{"), BusyError, "no JSON"),
        (answer(200, b"[]"), BusyError, "no object"),
        (answer(200, b"\xff"), BusyError, "no JSON"),
        (b"nonsense\r\n\r\n", BusyError, "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", BusyError, "cannot be reached"),
        (b"", BusyError, "cannot be reached"),
    ],
)
async def test_failures(raw: bytes, kind: type[KubeError], text: str) -> None:
    async with Answering(saying(raw)) as server:
        api = Api(Account(server.url), "ns")
        with pytest.raises(kind, match=text):
            await api.get(SECRET, "a")
        await api.close()


async def test_an_object_that_has_become_another_is_a_conflict() -> None:
    raw = status(422, 'Secret "a" is invalid: metadata.uid: Invalid value: field is immutable')
    async with Answering(saying(raw, status(422, "spec: Invalid value"))) as server:
        api = Api(Account(server.url), "ns")
        with pytest.raises(ConflictError):
            await api.apply(SECRET, OBJECT)
        with pytest.raises(RefusedError):
            await api.apply(SECRET, OBJECT)
        await api.close()


@pytest.mark.parametrize(
    ("after", "seconds"), [("7", 7), ("99999", LONGEST_WAIT), ("-1", 0), ("soon", 0), ("²", 0)]
)
async def test_what_the_server_asks_to_wait(after: str, seconds: float) -> None:
    raw = status(429, "later", Retry_After=after)
    async with Answering(saying(raw)) as server:
        api = Api(Account(server.url), "ns")
        with pytest.raises(BusyError) as caught:
            await api.get(SECRET, "a")
        assert caught.value.retry_after == seconds
        await api.close()


async def test_nobody_answers() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        api = Api(Account(f"http://127.0.0.1:{bound.getsockname()[1]}"), "ns")
        with pytest.raises(BusyError, match="cannot be reached"):
            await api.get(SECRET, "a")
        with pytest.raises(BusyError, match="cannot be reached"):
            async for _ in api.watch(SECRET, "", "1", seconds=5, silence=5):
                pass
        await api.close()


async def test_a_server_that_says_nothing() -> None:
    gone = asyncio.Event()

    async def handle(_: Request, __: asyncio.StreamWriter) -> None:
        await gone.wait()

    async with Answering(handle) as server:
        api = Api(Account(server.url), "ns")
        with pytest.raises(BusyError, match="in time"):
            await api.apply(SECRET, OBJECT, within=0.05)
        await api.close()
        gone.set()


async def test_a_token_that_has_been_replaced_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    valid = "old"

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        right = request.headers["authorization"] == f"bearer {valid}"
        writer.write(answer(200, OBJECT) if right else status(401, "Unauthorized"))

    async with Answering(handle) as server:
        api = Api(Account(server.url, token=token), "ns")
        await api.get(SECRET, "a")
        valid = "new"
        token.write_text("new\n")
        await api.get(SECRET, "a")
        assert len(server.requests) == 2
        valid = "newest"
        with pytest.raises(RefusedError):
            await api.get(SECRET, "a")
        assert len(server.requests) == 3
        token.unlink()
        with pytest.raises(BusyError, match="token"):
            await api.get(SECRET, "a")
        with pytest.raises(BusyError, match="token"):
            async for _ in api.watch(SECRET, "", "1", seconds=5, silence=5):
                pass
        await api.close()
    assert len(server.requests) == 3


async def test_a_token_may_be_replaced_during_a_call(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        right = request.headers["authorization"] == "bearer new"
        token.write_text("new")
        writer.write(answer(200, OBJECT) if right else status(401, "Unauthorized"))

    async with Answering(handle) as server:
        api = Api(Account(server.url, token=token), "ns")
        assert await api.apply(SECRET, OBJECT) == OBJECT
        await api.close()
    assert [json.loads(one.body) for one in server.requests] == [OBJECT, OBJECT]


def certificate(path: Path, authority: Path | None = None) -> None:
    """A key and its certificate for 127.0.0.1, in one file; signed by itself or by another."""
    key = signing = ec.generate_private_key(ec.SECP256R1())
    name = issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.name)])
    if authority is not None:
        loaded = serialization.load_pem_private_key(authority.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signing = loaded
        issuer = x509.load_pem_x509_certificate(authority.read_bytes()).subject
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def test_the_server_is_checked_and_its_authority_may_change(tmp_path: Path) -> None:
    for name in ("one", "other"):
        certificate(tmp_path / name)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "one")
    authority = tmp_path / "ca.crt"
    authority.write_bytes((tmp_path / "other").read_bytes())
    async with Answering(saying(answer(200, OBJECT)), tls) as server:
        api = Api(Account(server.url, ca=authority), "ns")
        for _ in range(2):
            with pytest.raises(BusyError, match=r"(?i)certificate verify failed"):
                await api.get(SECRET, "a")
        assert server.requests == []
        authority.write_bytes((tmp_path / "one").read_bytes())
        with pytest.raises(BusyError):
            await api.get(SECRET, "a")
        assert await api.get(SECRET, "a") == OBJECT
        await api.close()
        authority.unlink()
        with pytest.raises(BusyError, match="authority"):
            await api.get(SECRET, "a")


async def test_an_authority_without_extensions_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of some Clusters lack what OpenSSL's strict mode wants, as these certificates do."""
    real = ssl.create_default_context

    def strict(**named: Any) -> ssl.SSLContext:
        context = real(**named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 has it by default
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    certificate(tmp_path / "authority")
    certificate(tmp_path / "server", tmp_path / "authority")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server")
    async with Answering(saying(answer(200, OBJECT)), tls) as server:
        api = Api(Account(server.url, ca=tmp_path / "authority"), "ns")
        assert await api.get(SECRET, "a") == OBJECT
        await api.close()


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Answering(saying(answer(200, OBJECT))) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        api = Api(Account(server.url), "ns")
        assert await api.get(SECRET, "a") == OBJECT
        await api.close()


async def watched(
    server: Answering, *, silence: float = 60
) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    api = Api(Account(server.url), "ns")
    try:
        events = api.watch(POD, "x=y", "7", seconds=60, silence=silence)
        assert await anext(events) == ("OPEN", {})
        async for one in events:
            yield one
    finally:
        await api.close()


def line(what: str, value: object) -> bytes:
    return json.dumps({"type": what, "object": value}, ensure_ascii=False).encode() + b"\n"


async def test_a_watch() -> None:
    events = line("ADDED", {"a": 1}) + line("MODIFIED", {"a": 2}) + line("BOOKMARK", {})
    async with Answering(saying(stream_begins() + events)) as server:
        assert [what async for what, _ in watched(server)] == ["ADDED", "MODIFIED", "BOOKMARK"]
    target = server.requests[0].target
    for part in (
        "watch=true",
        "allowWatchBookmarks=true",
        "resourceVersion=7",
        "timeoutSeconds=60",
        "labelSelector=x%3Dy",
    ):
        assert part in target


@pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u2029"])
async def test_separators_within_json_end_no_line(separator: str) -> None:
    value = {"note": f"a{separator}b"}
    async with Answering(saying(stream_begins() + line("ADDED", value))) as server:
        assert [one async for one in watched(server)] == [("ADDED", value)]


@given(
    texts=st.lists(st.text(max_size=20), max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
async def test_a_watch_cut_anywhere(texts: list[str], cuts: list[int]) -> None:
    raw = b"".join(line("ADDED", {"text": text}) for text in texts)
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [raw[begin:end] for begin, end in itertools.pairwise(places)]

    class Response:
        async def aiter_bytes(self) -> AsyncGenerator[bytes]:
            for piece in pieces:
                yield piece

    from octelium.controller.kube import api

    found = [one async for one in api._lines(Response())]  # type: ignore[arg-type]  # what is used of it
    assert [json.loads(one)["object"]["text"] for one in found] == texts


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (stream_begins() + line("ERROR", {"code": 410, "message": "too old"}), ExpiredError),
        (stream_begins() + line("ERROR", {"code": 500, "message": "no"}), BusyError),
        (stream_begins() + line("ERROR", {}), BusyError),
        (status(410, "too old"), ExpiredError),
        (status(403, "forbidden"), RefusedError),
        (stream_begins() + b"nonsense\n", BusyError),
        (stream_begins() + b"[]\n", BusyError),
        (stream_begins() + b"{}\n", BusyError),
        (stream_begins() + line("ADDED", "text"), BusyError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", BusyError),
    ],
)
async def test_watches_that_fail(raw: bytes, kind: type[KubeError]) -> None:
    async with Answering(saying(raw)) as server:
        with pytest.raises(kind):
            async for _ in watched(server):
                pass


async def test_a_silent_connection_ends() -> None:
    gone = asyncio.Event()

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_begins() + line("ADDED", {}))
        await writer.drain()
        await gone.wait()

    heard: list[str] = []

    async def hear(server: Answering, silence: float) -> None:
        async for what, _ in watched(server, silence=silence):
            heard.append(what)

    async with Answering(handle) as server:
        for silence in (0.2, 30):
            with pytest.raises(BusyError, match="cannot be reached"):
                await hear(server, silence)
            if heard:  # else a busy machine was silent for as long
                break
        gone.set()
    assert heard == ["ADDED"]
