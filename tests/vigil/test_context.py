from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h1.requests import parse_request
from octelium.http.section import parse_section
from octelium.http.target import normalise
from octelium.policy.request import MISSING
from octelium.vigil.context import GrpcRequest, HttpRequest

SECTION = (
    b"Host: wiki.example\r\nX-Team: ops\r\nx-team: dev\r\nAccept: text/html\r\n"
    b"Cookie: a=1\r\nContent-Length: 5\r\n"
)


def make(
    line: bytes = b"POST /a/%2e/b%20c?x=1&y=2&x=3 HTTP/1.1", section: bytes = SECTION
) -> HttpRequest:
    head = parse_request(line, parse_section(section), b"https")
    return HttpRequest(head, normalise(head.target), b"token", "192.0.2.1", "wiki.ns.example")


def call() -> GrpcRequest:
    head = parse_request(b"POST /a.b.C/D HTTP/1.1", parse_section(SECTION), b"https")
    return GrpcRequest(
        head, normalise(head.target), None, "192.0.2.1", "wiki.ns.example", ("a.b.C", "D")
    )


def test_the_whole_object() -> None:
    assert make().context() == {
        "ip": "192.0.2.1",
        "http": {
            "headers": {
                "host": "wiki.example",
                "x-team": "ops",
                "accept": "text/html",
                "cookie": "a=1",
                "content-length": "5",
            },
            "method": "POST",
            "path": "/a/b c",
            "host": "wiki.ns.example",
            "uri": "/a/b%20c?x=1&y=2&x=3",
            "scheme": "https",
            "size": "5",
            "queryParams": {"x": "1", "y": "2"},
        },
    }


def test_defaults_are_left_out() -> None:
    request = make(b"GET / HTTP/1.1", b"Host: a\r\n")
    http = request.context()["http"]
    assert "size" not in http
    assert "queryParams" not in http
    assert request.read(("http", "size")) is MISSING
    chunked = make(b"POST / HTTP/1.1", b"Host: a\r\nTransfer-Encoding: chunked\r\n")
    assert chunked.read(("http", "size")) == "-1"
    tunnel = HttpRequest(request.head, request.target, None, "", "a")
    assert "ip" not in tunnel.context()
    assert tunnel.read(("ip",)) is MISSING


def test_what_was_given_more_than_once() -> None:
    request = make()
    assert request.repeated(("http", "headers", "x-team"))
    assert not request.repeated(("http", "headers", "accept"))
    assert request.repeated(("http", "headers"))
    assert request.repeated(("http", "queryParams", "x"))
    assert not request.repeated(("http", "queryParams", "y"))
    assert request.repeated(("http",))
    assert request.repeated(())
    assert not request.repeated(("http", "method"))
    assert not request.repeated(("ip",))


def test_a_field_that_upstreams_cannot_tell_from_another() -> None:
    request = make(section=b"Host: a\r\nx-tenant: a\r\nX_Tenant: b\r\nx-other: 1\r\n")
    assert request.repeated(("http", "headers", "x-tenant"))
    assert request.repeated(("http", "headers", "X_TENANT"))
    assert request.repeated(("http", "headers"))
    assert not request.repeated(("http", "headers", "x-other"))
    assert request.repeated(("http", "headers", "x-tenant"))


@pytest.mark.parametrize(
    "target",
    b"//admin /x//admin /x/..//admin /%2fadmin /x%2Fadmin /x%5cadmin /x\\admin /x%252fadmin "
    b"/;/admin /;x=1/admin /a;b/c?d /admin//".split(),
)
def test_a_path_that_servers_read_differently(target: bytes) -> None:
    request = make(b"GET " + target + b" HTTP/1.1", b"Host: a\r\n")
    for path in (("http", "path"), ("http", "uri"), ("http",), ()):
        assert request.repeated(path), path
    assert not request.repeated(("http", "method"))
    assert not request.repeated(("http", "headers"))
    nested = GrpcRequest(request.head, request.target, None, "", "a", ("a.b.C", "D"))
    for inner in (("http", "path"), ("http", "uri"), ("http",), ()):
        assert nested.repeated(("grpc", *inner)), inner


@pytest.mark.parametrize(
    "target", [b"/", b"/a/b", b"/a/b/", b"/a;v=1", b"/a?b=//c;/d%2fe", b"/%20a", b"*", b"/a%25b"]
)
def test_a_path_that_servers_agree_on(target: bytes) -> None:
    request = make(b"OPTIONS " + target + b" HTTP/1.1", b"Host: a\r\n")
    for path in (("http", "path"), ("http", "uri"), ("http",), ()):
        assert not request.repeated(path), path


def test_a_query_that_servers_read_differently() -> None:
    request = make(b"GET /?a=%zz&b=1 HTTP/1.1", b"Host: a\r\n")
    assert request.repeated(("http", "queryParams", "b"))
    assert request.read(("http", "queryParams")) == {"b": "1"}


def test_a_call() -> None:
    request = call()
    grpc = request.context()["grpc"]
    assert {k: v for k, v in grpc.items() if k != "http"} == {
        "serviceFullName": "a.b.C",
        "service": "C",
        "package": "a.b",
        "method": "D",
    }
    assert grpc["http"]["path"] == "/a.b.C/D"
    assert request.read(("http",)) is MISSING
    assert request.repeated(("grpc", "http", "headers", "x-team"))
    assert not request.repeated(("grpc", "method"))
    assert not request.repeated(("http", "headers", "x-team"))


_KEYS = ["http", "grpc", "headers", "x-team", "accept", "queryParams", "x", "method", "ip", "path"]
_KEYS += ["host", "uri", "size", "scheme", "service", "package", "serviceFullName", "nothing"]


def walk(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


@given(st.lists(st.sampled_from(_KEYS), max_size=4).map(tuple), st.booleans())
def test_reading_is_walking(path: tuple[str, ...], grpc: bool) -> None:
    request = call() if grpc else make()
    assert request.read(path) == walk(request.context(), path)
