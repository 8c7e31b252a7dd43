"""Requests that are only thought of are seen as the proxy sees real ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h1.requests import parse_request
from octelium.http.message import MessageError
from octelium.http.section import parse_section
from octelium.http.target import normalise
from octelium.octovigil.explain.explanation import explain
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.octovigil.received import (
    as_received,
    can_be_sent,
    canonical_host,
    in_one_reading,
    target_of,
)
from octelium.policy.request import DictRequest
from octelium.vigil.context import HttpRequest
from tests.octovigil.world import World, allow, deny

WORLD = World()
HOST = "wiki.default.example.com"


def received(http: Any, **rest: Any) -> Inquiry:
    return as_received(WORLD.replica, Inquiry("wiki.default", request={"http": http, **rest}))


def seen(http: Any) -> dict[str, Any]:
    request = received(http).request
    assert request is not None
    found: dict[str, Any] = request["http"]
    return found


def outcome(path: str, *rules: dict[str, Any]) -> tuple[str, str]:
    world = World()
    world.policy("p", *rules)
    world.service("wiki.default", authorization={"policies": ["p"]})
    question = Inquiry(
        "wiki.default", session="ann-1", request={"http": {"method": "GET", "uri": path}}
    )
    question = as_received(world.replica, question)
    told = explain(world.replica, question, find_change=True, clock=world.clock)
    return told.outcome, told.error


# --- what was found


ADMIN = deny("ctx.request.http.path.startsWith('/admin')")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "ALLOWED"),
        ("/admin", "DENIED"),
        ("//admin", "BAD_REQUEST"),
        ("/a%2fb", "BAD_REQUEST"),
        ("/a;x/admin", "BAD_REQUEST"),
        ("/x/../admin", "DENIED"),
        ("/x/%2e%2e/admin", "DENIED"),
        ("/%61dmin", "DENIED"),
        ("/x/..%2fadmin", "BAD_REQUEST"),
        ("/%", "BAD_REQUEST"),
        ("/a\x00", "BAD_REQUEST"),
    ],
)
def test_paths_are_decided_as_the_proxy_decides_them(path: str, expected: str) -> None:
    assert outcome(path, ADMIN, allow())[0] == expected


def test_what_no_rule_reads_may_be_read_in_two_ways() -> None:
    assert outcome("//admin", allow("ctx.request.http.method == 'GET'"))[0] == "ALLOWED"
    assert outcome("/%", allow("ctx.request.http.method == 'GET'"))[0] == "BAD_REQUEST"


def test_repeated_parameters_and_headers() -> None:
    page = allow("ctx.request.http.queryParams['page'] == '2'")
    assert outcome("/?page=2", page)[0] == "ALLOWED"
    assert outcome("/?page=2&page=3", page)[0] == "BAD_REQUEST"
    assert outcome("/?page=2;page=3", page)[0] == "BAD_REQUEST"
    assert outcome("/?page=2&x=%", page)[0] == "BAD_REQUEST"
    assert outcome("/?page=2&x=1&x=2", page)[0] == "ALLOWED"
    twice = received({"uri": "/", "headers": {"X-Team": ["a", "b"], "x": "c"}})
    assert twice.request is not None
    assert twice.request["http"]["headers"] == {"x-team": "a", "x": "c", "host": HOST}
    asked = DictRequest(twice.request, repeated=twice.repeated)
    assert asked.repeated(("http", "headers", "x-team"))
    assert asked.repeated(("http", "headers", "x_team"))
    assert not asked.repeated(("http", "headers", "x"))
    folded = received({"headers": {"x_team": "a", "x-team": "b"}})
    assert ("http", "headers", "x-team") in folded.repeated


# --- the form


def test_a_request_without_a_target() -> None:
    assert seen({"method": "GET"}) == {
        "method": "GET",
        "host": HOST,
        "scheme": "https",
        "headers": {"host": HOST},
    }


def test_paths_without_escapes_are_those_of_conditions() -> None:
    http = seen({"path": "/a b/../\u00fc", "queryParams": {"q": "x y", "p": ["1", "2"]}})
    assert http["path"] == "/\u00fc"
    assert http["uri"] == "/%C3%BC?q=x+y&p=1&p=2"
    assert http["queryParams"] == {"q": "x y", "p": "1"}
    assert seen({"path": "/100%"})["uri"] == "/100%25"
    assert target_of("/a?b#c").raw_path == b"/a%3Fb%23c"


def test_a_service_has_one_name() -> None:
    http = seen({"host": "other.example", "headers": {"Host": "wiki.example.com"}})
    assert (http["host"], http["headers"]) == (HOST, {"host": "wiki.example.com"})
    assert canonical_host(WORLD.replica, "wiki.default") == HOST


def test_calls_have_a_path() -> None:
    grpc = {"serviceFullName": "a.B", "method": "C"}
    asked = as_received(WORLD.replica, Inquiry("wiki.default", request={"grpc": grpc}))
    assert asked.request is not None
    assert asked.request["grpc"]["http"]["path"] == "/a.B/C"
    assert asked.request["grpc"]["http"]["method"] == "POST"
    assert grpc == {"serviceFullName": "a.B", "method": "C"}
    doubled = {"mcp": {"http": {"path": "//m"}}}
    asked = as_received(WORLD.replica, Inquiry("wiki.default", request=doubled))
    assert ("mcp", "http", "path") in asked.repeated


def test_streams_and_other_requests_stay_as_they_are() -> None:
    assert as_received(WORLD.replica, Inquiry("wiki.default")).request is None
    request = {"ssh": {"connect": {"user": "root"}}}
    assert as_received(WORLD.replica, Inquiry("wiki.default", request=request)).request == request


@pytest.mark.parametrize(
    ("http", "problem"),
    [
        ({"uri": "/a", "path": "/b"}, "is not that of uri"),
        ({"uri": "/?a=1", "queryParams": {"a": "2"}}, "queryParams are not those"),
        ({"headers": []}, "headers is no object"),
        ({"headers": {"a": 1}}, "'a' is neither"),
        ({"queryParams": {"a": []}}, "'a' is neither"),
    ],
)
def test_contradictions(http: dict[str, Any], problem: str) -> None:
    with pytest.raises(InquiryError, match=problem):
        received(http)


@pytest.mark.parametrize(
    "http",
    [
        {"uri": "a"},
        {"uri": "/\u00fc"},
        {"uri": "/a b"},
        {"method": "G T"},
        {"uri": "/", "headers": {"a b": "x"}},
        {"uri": "/", "headers": {"a": "x\r\ny"}},
        {"uri": "/", "headers": {"host": "a/b"}},
    ],
)
def test_what_the_proxy_refuses(http: dict[str, Any]) -> None:
    assert received(http).refusal


# --- proposals


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("path", "/a b/\u00fc%", True),
        ("path", "//a", False),
        ("path", "/a\\b", False),
        ("path", "/a;b/c", False),
        ("path", "/a%2fb", False),
        ("path", "/a/../b", False),
        ("path", "a", False),
        ("path", "", False),
        ("path", 1, False),
        ("uri", "/a%20b?x=1", True),
        ("uri", "/a b", False),
        ("uri", "//a", False),
        ("method", "GET", True),
        ("method", "G T", False),
        ("size", 11, True),
    ],
)
def test_what_a_request_may_have(name: str, value: object, expected: bool) -> None:
    assert can_be_sent(("http", name), value) is expected
    assert can_be_sent(("grpc", "http", name), value) is expected


def test_headers_that_can_be_sent() -> None:
    assert can_be_sent(("http", "headers", "x-team"), "a b")
    assert not can_be_sent(("http", "headers", "x team"), "a")
    assert not can_be_sent(("http", "headers", "x-team"), "a\nb")
    assert not can_be_sent(("http", "headers", "x-team"), 7)
    assert can_be_sent(("ip",), "192.0.2.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("//admin", "/admin"),
        ("/a%252Fb\\\\c", "/a/b/c"),
        ("/a;x/b", "/a/b"),
        ("//a?b=//c", "/a?b=//c"),
        ("/a//../b", "/"),
        ("/", "/"),
    ],
)
def test_one_reading_of_several(text: str, expected: str) -> None:
    assert in_one_reading(text) == expected


# --- against the proxy


TARGETS = st.lists(
    st.sampled_from(
        [b"/", b"//", b"a", b"..", b".", b"%2e", b"%2F", b"%252f", b"%5c", b"\\", b";", b"%",
         b"%00", b"?", b"&", b"p=1", b"q=%41", b"p=%", b"=", b"+", b"%61", b"%C3%BC"]
    ),
    max_size=7,
).map(lambda parts: b"/" + b"".join(parts))  # fmt: skip
HEADERS = st.lists(
    st.tuples(st.sampled_from(["x-team", "X-Team", "x_team", "y"]), st.sampled_from("ab")),
    max_size=4,
)
READS = [
    ("path",), ("uri",), ("queryParams",), ("queryParams", "p"), ("queryParams", "q"),
    ("headers",), ("headers", "x-team"), ("headers", "x_team"), ("headers", "y"),
]  # fmt: skip


@given(TARGETS, HEADERS)
def test_it_is_what_the_proxy_would_see(target: bytes, headers: list[tuple[str, str]]) -> None:
    named: dict[str, list[str]] = {}
    for name, value in headers:
        named.setdefault(name, []).append(value)
    question = received({"method": "GET", "uri": target.decode(), "headers": named})
    lines = [f"{name}: {value}" for name, values in named.items() for value in values]
    section = "".join(f"{line}\r\n" for line in (f"Host: {HOST}", *lines)).encode()
    try:
        head = parse_request(b"GET " + target + b" HTTP/1.1", parse_section(section), b"https")
        real = HttpRequest(head, normalise(head.target), None, "", HOST)
    except MessageError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert question.refusal == refusal
    if refusal:
        return
    assert question.request == real.context()
    asked = DictRequest(question.request, repeated=question.repeated)
    for path in READS:
        full = ("http", *path)
        assert asked.repeated(full) == real.repeated(full), path
