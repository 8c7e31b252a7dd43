from __future__ import annotations

import pytest

from octelium.vigil.fields import Kind, classify, fold


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
        b"x-original-url",
        b"x-rewrite-url",
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
