from __future__ import annotations

import socket
import ssl
from contextlib import closing

import pytest

from octelium.client.errors import ApiError
from octelium.client.pinning import fetch_certificate, loopback_or
from octelium.client.settings import Target
from tests.client.standin import DOMAIN, StandIn


def test_the_certificate_that_is_shown(cluster: StandIn) -> None:
    target = Target(DOMAIN, "127.0.0.1", cluster.port, f"octelium-api.{DOMAIN}")
    certificate, name = fetch_certificate(target)
    assert b"BEGIN CERTIFICATE" in certificate
    assert ssl.PEM_cert_to_DER_cert(certificate.decode())
    assert name == f"octelium-api.{DOMAIN}"


def test_a_name_that_the_certificate_is_for_stands_in(cluster: StandIn) -> None:
    target = Target("other.test", "127.0.0.1", cluster.port, "octelium-api.other.test")
    assert fetch_certificate(target)[1] == f"octelium-api.{DOMAIN}"


def test_no_server() -> None:
    with closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        target = Target("d", "127.0.0.1", reserved.getsockname()[1], "d")
        with pytest.raises(ApiError, match="cannot reach"):
            fetch_certificate(target)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("octelium-api.octelium.localhost", "localhost"),
        ("X.LOCALHOST.", "localhost"),
        ("localhost", "localhost"),
        ("notlocalhost", "notlocalhost"),
        ("example.com", "example.com"),
    ],
)
def test_loopback_names(host: str, expected: str) -> None:
    assert loopback_or(host) == expected
