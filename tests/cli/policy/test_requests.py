from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.policy.requests import fitting_request, http_request, read_request
from octelium.schema import json_reader
from octelium.schema.pb import core_v1_pb2 as core

_MODE = core.ServiceSpecMode__


def read(value: Any) -> dict[str, Any]:
    request, problems = read_request(value)
    assert problems == []
    assert request is not None
    return request


def refused(value: Any) -> tuple[tuple[Any, ...], str, str]:
    _, problems = read_request(value)
    [problem] = problems
    return problem


def test_a_line() -> None:
    assert read("GET /") == {"http": {"method": "GET", "uri": "/"}}
    assert read("post /a%20b?x=1&x=2&y=") == {
        "http": {
            "method": "POST",
            "uri": "/a%20b?x=1&x=2&y=",
        }
    }


def test_the_short_form() -> None:
    request = read(
        {
            "method": "PUT",
            "path": "/items?page=2",
            "headers": {"X-Team": "ops"},
            "query": {"sort": "a b"},
            "host": "wiki.example.com",
            "body": {"n": 1},
            "ip": "192.0.2.1",
        }
    )
    http = request["http"]
    assert request["ip"] == "192.0.2.1"
    assert http["headers"] == {"x-team": "ops", "host": "wiki.example.com"}
    assert http["uri"] == "/items?page=2&sort=a+b"
    assert http["bodyMap"] == {"n": 1}
    assert b64decode(http["body"]) == b'{"n": 1}'
    assert http["size"] == "8"
    assert read({}) == {}
    assert read({"path": "/x"})["http"]["method"] == "GET"
    assert read({"headers": {"Host": "a.example"}})["http"]["headers"] == {"host": "a.example"}


def test_what_is_sent_several_times() -> None:
    http = read({"headers": {"X-Team": ["a", "b"]}, "query": {"page": ["2", "3"]}})["http"]
    assert http["headers"] == {"x-team": ["a", "b"]}
    assert http["uri"] == "/?page=2&page=3"


def test_a_target_is_escaped_as_browsers_do_it() -> None:
    assert read("GET /a b/\u00fc?q=\u00fc")["http"]["uri"] == "/a%20b/%C3%BC?q=%C3%BC"
    assert read("GET //admin/../%2f%2e\\x#y")["http"]["uri"] == "//admin/../%2f%2e\\x%23y"


def test_a_text_as_body_is_no_object() -> None:
    http = http_request("POST", "/", body="ab")
    assert (http["body"], http["size"]) == ("YWI=", "2")
    assert "bodyMap" not in http


def test_members_of_the_request() -> None:
    assert read({"ssh": {"connect": {"user": "root"}}}) == {"ssh": {"connect": {"user": "root"}}}
    assert read({"dns": {"name": "a.", "typeID": 1}}) == {"dns": {"name": "a.", "typeID": 1}}
    request = read({"mcp": {"method": "tools/call", "name": "x"}, "method": "POST", "path": "/m"})
    assert request["mcp"]["http"]["uri"] == "/m"
    assert "http" not in request


def test_names_of_grpc_services() -> None:
    expected = {"serviceFullName": "a.b.Svc", "package": "a.b", "service": "Svc", "method": "Get"}
    assert read({"grpc": {"serviceFullName": "a.b.Svc", "method": "Get"}}) == {"grpc": expected}
    parts = {"package": "a.b", "service": "Svc", "method": "Get"}
    assert read({"grpc": parts}) == {"grpc": expected}
    assert read({"grpc": {"method": "Get"}}) == {"grpc": {"method": "Get"}}


@pytest.mark.parametrize(
    ("value", "steps", "problem"),
    [
        ("/", (), "is no request"),
        ("GET", (), "is no request"),
        ("GET items", (), "is no request"),
        (7, (), "expected a request"),
        (["GET /"], (), "expected a request"),
        ({"pth": "/"}, ("pth",), "unknown field"),
        ({"path": "items"}, ("path",), "does not begin with /"),
        ({"path": 1}, ("path",), "expected a text"),
        ({"headers": []}, ("headers",), "expected an object"),
        ({"headers": {"a": 1}}, ("headers", "a"), "expected a text"),
        ({"headers": {"a": []}}, ("headers", "a"), "expected a text"),
        ({"query": {"a": ["b", 1]}}, ("query", "a"), "expected a text"),
        ({"query": {"a": None}}, ("query", "a"), "expected a text"),
        ({"grpc": {"metod": "x"}}, ("grpc", "metod"), "unknown field"),
        ({"http": {"size": "x"}}, ("http", "size"), ""),
        ({"method": "GET", "http": {"path": "/"}}, ("method",), "together with http"),
        ({"path": "/", "mcp": {"http": {"path": "/"}}}, ("path",), "together with http"),
    ],
)
def test_what_is_no_request(value: Any, steps: tuple[Any, ...], problem: str) -> None:
    found = refused(value)
    assert found[0] == steps
    assert problem in found[1]


def test_a_slip_is_recognised() -> None:
    assert refused({"header": {}})[2] == "did you mean headers?"
    assert refused({"kubernets": {}})[2] == "did you mean kubernetes?"


def test_requests_fit_the_mode() -> None:
    http = {"http": {"method": "GET"}, "ip": "192.0.2.1"}
    assert fitting_request(http, _MODE.WEB) == http
    assert fitting_request(None, _MODE.HTTP) == read("GET /")
    for mode in (_MODE.TCP, _MODE.UDP, _MODE.GRPC, _MODE.SSH):
        assert fitting_request(None, mode) is None
    grpc = {"grpc": {"method": "x"}}
    assert fitting_request(grpc, _MODE.GRPC) == grpc
    with pytest.raises(ValueError, match="mode HTTP has http:, not grpc:"):
        fitting_request(grpc, _MODE.HTTP)
    with pytest.raises(ValueError, match="gets streams"):
        fitting_request(http, _MODE.TCP)
    with pytest.raises(ValueError, match="not ip:"):
        fitting_request({"ssh": {}, "ip": "x"}, _MODE.SSH)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["method", "path", "headers", "query", "host", "body", "http", "grpc", "mcp", "ip"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(_JSON)
def test_anything_is_read_or_refused(value: Any) -> None:
    request, problems = read_request(value)
    assert (request is None) == bool(problems) or problems
    if request and not problems:
        assert json_reader.read(core.RequestContextRequest(), request) == []
