from __future__ import annotations

import datetime as dt
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from octelium.client.doctor import front_door
from octelium.client.doctor.checks import Broken
from tests.client.doctor.door import DOMAIN, context, server, target
from tests.client.standin import Authority
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(1994, 11, 6, 8, 50, tzinfo=dt.UTC)
NAME = f"octelium-api.{DOMAIN}"


def broken_by(folder: Path, authority: Authority, *names: str, days: int = 20) -> Broken:
    """What is wrong with a certificate."""
    with server(context(folder, authority, *names, days=days)) as port:
        place = target(port, authority)
        with pytest.raises(Broken) as caught:
            front_door.certificate(place, "127.0.0.1")
        return caught.value


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert front_door.is_address("192.0.2.1")
    assert front_door.is_address("fe80::1%eth0")
    assert not front_door.is_address("octelium.example")
    assert front_door.addresses("any.localhost", 443) == ["127.0.0.1"] or "::1" in (
        front_door.addresses("any.localhost", 443)
    )

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Broken) as caught:
        front_door.addresses("octelium.example", 443)
    assert "octelium.example is not found" in caught.value.detail
    assert "DNS records" in caught.value.remedy


def test_a_resolver_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    held = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: held.wait(60))
    with pytest.raises(Broken) as caught:
        front_door.addresses("octelium.example", 443, seconds=0.01)
    assert "no name server answers" in caught.value.detail
    held.set()


def test_ports() -> None:
    port = reserved_port()
    with socket.create_server(("127.0.0.1", port)):
        assert front_door.reach(["127.0.0.2", "127.0.0.1"], port) == "127.0.0.1"
    with pytest.raises(Broken) as caught:
        front_door.reach(["127.0.0.1", "127.0.0.2"], port)
    assert f"127.0.0.2 port {port}: Connection refused" in caught.value.detail
    assert "octelium up" in caught.value.remedy


def test_the_time_is_told_whatever_the_certificate(tmp_path: Path, authority: Authority) -> None:
    with server(context(tmp_path, authority, "other.test", days=-3)) as port:
        found = front_door.cluster_time(target(port, authority), "127.0.0.1", lambda: NOW)
    assert found == (dt.datetime(1994, 11, 6, 8, 49, 37, tzinfo=dt.UTC), NOW)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nDate: today\r\n\r\n", b"\xff" * 99],
)
def test_a_time_that_is_not_told(tmp_path: Path, authority: Authority, answer: bytes) -> None:
    with (
        server(context(tmp_path, authority, NAME), answer) as port,
        pytest.raises((OSError, ValueError)),
    ):
        front_door.cluster_time(target(port, authority), "127.0.0.1", lambda: NOW)


def test_a_certificate_that_is_trusted(tmp_path: Path, authority: Authority) -> None:
    with server(context(tmp_path, authority, f"*.{DOMAIN}")) as port:
        until = front_door.certificate(target(port, authority), "127.0.0.1")
    assert until.endswith("GMT")


def test_an_unknown_authority(tmp_path: Path, authority: Authority) -> None:
    made = context(tmp_path, Authority.new("another"), NAME)
    with server(made) as port, pytest.raises(Broken) as caught:
        front_door.certificate(target(port, authority), "127.0.0.1")
    assert "an authority that this host does not trust" in caught.value.detail
    assert f"https://{DOMAIN}/ca.pem" in caught.value.remedy


def test_another_name(tmp_path: Path, authority: Authority) -> None:
    found = broken_by(tmp_path, authority, "a.example", "b.example")
    assert found.detail == f"the certificate is for other names than {NAME}: a.example, b.example"
    assert "--tls-server-name" in found.remedy


def test_an_expired_one(tmp_path: Path, authority: Authority) -> None:
    found = broken_by(tmp_path, authority, NAME, days=-3)
    assert found.detail.startswith("the certificate has expired (valid from ")
    assert "octops cert" in found.remedy


def test_one_that_is_not_valid_yet(tmp_path: Path, authority: Authority) -> None:
    made = ssl.SSLCertVerificationError(1, "certificate is not yet valid")
    made.verify_code, made.verify_message = 9, "certificate is not yet valid"
    found = front_door._fault(made, target(1, authority), "127.0.0.1", 1)
    assert "is not valid yet" in found.detail
    assert "clock" in found.remedy
    made.verify_code = 26
    assert (
        "certificate is not yet valid"
        in front_door._fault(made, target(1, authority), "127.0.0.1", 1).detail
    )


def test_no_tls_and_silence(tmp_path: Path, authority: Authority) -> None:
    with server(None, b"SSH-2.0-OpenSSH\r\n") as port, pytest.raises(Broken) as caught:
        front_door.certificate(target(port, authority), "127.0.0.1")
    assert "speaks no TLS" in caught.value.detail
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(Broken) as caught:
            front_door.certificate(target(port, authority), "127.0.0.1", seconds=0.05)
    assert "handshake does not end" in caught.value.detail


def test_a_server_of_other_names(tmp_path: Path, authority: Authority) -> None:
    made = context(tmp_path, authority, NAME)
    made.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    with server(made) as port, pytest.raises(Broken) as caught:
        front_door.certificate(target(port, authority), "127.0.0.1")
    assert f"does not serve {NAME}" in caught.value.detail


def test_a_ca_that_is_none(tmp_path: Path) -> None:
    from octelium.client.settings import Target

    bad = Target(DOMAIN, "127.0.0.1", 1, NAME, ca=b"-----BEGIN CERTIFICATE-----\nx\n")
    with pytest.raises(Broken) as caught:
        front_door.certificate(bad, "127.0.0.1")
    assert caught.value.remedy == "check --ca-file"
