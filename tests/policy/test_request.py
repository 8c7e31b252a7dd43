from __future__ import annotations

from octelium.policy.request import MISSING, DictRequest, NoRequest, Request

FORM = {"http": {"headers": {"a": "1"}, "list": [{"x": 1}], "none": None}}


def test_values_are_found_by_path() -> None:
    request: Request = DictRequest(FORM)
    assert request.read(("http", "headers", "a")) == "1"
    assert request.read(("http", "none")) is None
    assert request.read(()) == FORM
    assert request.context() == FORM


def test_what_is_not_there_is_missing() -> None:
    request = DictRequest(FORM)
    for path in (("ssh",), ("http", "headers", "b"), ("http", "list", "x"), ("http", "none", "x")):
        assert request.read(path) is MISSING
    assert repr(MISSING) == "MISSING"


def test_repetition_counts_at_below_and_above_a_path() -> None:
    request = DictRequest(FORM, repeated=[("http", "headers", "a")])
    assert request.repeated(("http", "headers", "a"))
    assert request.repeated(("http",))
    assert request.repeated(())
    assert not request.repeated(("http", "headers", "b"))
    assert request.repeated(("http", "headers", "a", "b"))
    assert not request.repeated(("ip",))


def test_identity_stands_beside_the_object() -> None:
    request = DictRequest(FORM, token=b"t", client_address="192.0.2.1")
    assert (request.token, request.client_address) == (b"t", "192.0.2.1")
    assert DictRequest().token is None


def test_a_stream_without_a_request() -> None:
    request: Request = NoRequest("192.0.2.1")
    assert request.read(("http",)) is MISSING
    assert request.read(()) is MISSING
    assert request.context() == {}
    assert not request.repeated(())
    assert request.token is None
    assert request.client_address == "192.0.2.1"
