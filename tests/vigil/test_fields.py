from __future__ import annotations

import pytest

from octelium.http.syntax import fold
from octelium.vigil.fields import Kind, classify, may_trail


@pytest.mark.parametrize(
    "name",
    [
        b"x-octelium-auth",
        b"x_octelium_auth",
        b"x-octelium_auth",
        b"x.octelium.auth",
        b"x-octelium-session-uid",
        b"x_octelium_session_ref",
        b"x-octelium-client-address",
        b"x-octelium-anything",
        b"x-octelium",
        b"x~octelium!auth",
    ],
)
def test_octelium_names_are_never_ordinary(name: bytes) -> None:
    assert classify(name) in {Kind.NEVER, Kind.OWN}


def test_only_the_exact_names_are_own_credentials() -> None:
    own = {b"x-octelium-auth", b"x-octelium-refresh-token"}
    for name in (*own, b"x_octelium_auth", b"x-octelium-session-uid"):
        assert (classify(name) is Kind.OWN) is (name in own)


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"transfer-encoding",
        b"transfer_encoding",
        b"content_length",
        b"keep-alive",
        b"te",
        b"trailer",
        b"upgrade",
        b"proxy-connection",
        b"proxy-authorization",
        b"proxy",
        b"host",
        b"expect",
        b"x-request-id",
        b"x_request_id",
        b"x-original-url",
        b"x_original.url",
        b"x-original-uri",
        b"x-rewrite-url",
        b"x-http-method-override",
        b"x_http_method_override",
        b"x-http-method",
        b"x-method-override",
        b"remote-user",
        b"remote_user",
        b"x-remote-user",
        b"x.remote.user",
        b"x-remote-group",
        b"x-host",
        b"x_host",
    ],
)
def test_what_never_passes(name: bytes) -> None:
    assert classify(name) is Kind.NEVER


@pytest.mark.parametrize(
    "name",
    [
        b"forwarded",
        b"x-forwarded-for",
        b"x_forwarded_for",
        b"x-forwarded-client-cert",
        b"x-real-ip",
        b"x_real_ip",
        b"x-envoy-original-path",
        b"x-original-host",
        b"x-rewrite-path",
        b"true-client-ip",
    ],
)
def test_claims_about_the_client(name: bytes) -> None:
    assert classify(name) is Kind.FORWARDING


def test_the_rest() -> None:
    assert classify(b"content-length") is Kind.ORDINARY
    assert classify(b"accept") is Kind.ORDINARY
    assert classify(b"x-octet") is Kind.ORDINARY
    assert classify(b"cookie") is Kind.COOKIE
    assert classify(b"authorization") is Kind.AUTHORIZATION
    assert fold(b"x_a.b-c9") == b"x-a-b-c9"


def test_what_may_stand_after_a_body() -> None:
    for name in (b"grpc-status", b"grpc-message", b"x-checksum", b"server-timing", b"etag"):
        assert may_trail(name), name
    for name in (
        b"x-octelium-session-uid",
        b"x_octelium_auth",
        b"content-length",
        b"content_length",
        b"transfer-encoding",
        b"host",
        b"cookie",
        b"authorization",
        b"x-forwarded-for",
        b"x_real_ip",
        b"remote-user",
        b"set-cookie",
        b"content-type",
        b"if-match",
        b"strict-transport-security",
    ):
        assert not may_trail(name), name
