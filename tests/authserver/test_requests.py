from __future__ import annotations

from starlette.requests import Request

from octelium.authserver.requests import address_of, downstream_of, only
from octelium.identity.sessions import Downstream


def request(query: str = "", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": "GET", "headers": raw, "query_string": query.encode()}
    )


def test_who_asks() -> None:
    asked = request(user_agent="Firefox", x_octelium_client_address="192.0.2.1")
    assert downstream_of(asked) == Downstream("Firefox", "192.0.2.1")
    assert downstream_of(request()) == Downstream("", "")
    assert address_of(request(x_forwarded_for="192.0.2.1")) == ""


def test_parameters_that_are_there_once() -> None:
    assert only(request("a=1"), "a") == "1"
    for query in ("", "a=1&a=2", "a=1&a=1", "b=1", "A=1"):
        assert only(request(query), "a") == ""
