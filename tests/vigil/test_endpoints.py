from __future__ import annotations

import ssl

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.endpoints import Endpoint, datagram_endpoints, pick, stream_endpoints
from octelium.vigil.errors import Unserviceable
from octelium.vigil.origins import Origins
from tests.http import certs
from tests.vigil.world import secret, service

SERVICE = service()


class Known:
    """Where the container is."""

    def url(self, service: core.Service, config: core.ServiceSpecConfig) -> str:
        assert service is SERVICE
        assert config.upstream.container.port == 80
        return "tcp://10.43.0.9:80"


def config(url: str, user: str = "") -> core.ServiceSpecConfig:
    made = core.ServiceSpecConfig()
    made.upstream.url = url
    made.upstream.user = user
    return made


def origins() -> Origins:
    pair = certs.server("client")
    return Origins(lambda name: secret(name, pair.key, pair.chain), Known())


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("tcp://db.internal:5432", "db.internal:5432"),
        ("postgres://db.internal", "db.internal:5432"),
        ("redis://10.0.0.1/0", "10.0.0.1:6379"),
        ("tcp://[2001:db8::1]:7", "[2001:db8::1]:7"),
        ("TCP://Host:7", "host:7"),
    ],
)
def test_places(url: str, place: str) -> None:
    (one,) = stream_endpoints(SERVICE, config(url), origins())
    assert str(one) == place
    assert one.tls is None
    assert [str(two) for two in datagram_endpoints(SERVICE, config(url), origins())] == [place]


@pytest.mark.parametrize("url", ["tls://a:1", "https://a", "wss://a", "dot://a"])
def test_schemes_that_are_encrypted(url: str) -> None:
    (one,) = stream_endpoints(SERVICE, config(url), origins())
    assert one.tls is not None
    assert one.tls.verify_mode is ssl.CERT_REQUIRED


def test_settings_that_ask_for_tls() -> None:
    trusting = config("tcp://a:1")
    trusting.tls.insecure_skip_verify = True
    (one,) = stream_endpoints(SERVICE, trusting, origins())
    assert one.tls is not None
    assert one.tls.verify_mode is ssl.CERT_NONE
    for new in (True, False):
        made = config("tcp://a:1")
        if new:
            made.tls.client_certificate.from_secret = "cert"
        else:
            made.client_certificate.from_secret = "cert"
        (one,) = stream_endpoints(SERVICE, made, origins())
        assert one.tls is not None


def test_several_endpoints() -> None:
    made = core.ServiceSpecConfig()
    made.upstream.user = "alice"
    made.upstream.loadbalance.endpoints.add(url="tcp://a:1", user="bob")
    made.upstream.loadbalance.endpoints.add(url="tcp://b:2")
    endpoints = stream_endpoints(SERVICE, made, origins())
    assert list(map(str, endpoints)) == ["a:1 at User bob", "b:2 at User alice"]
    assert {pick(endpoints).host for _ in range(100)} == {"a", "b"}
    assert pick([Endpoint("c", 1)]).host == "c"


@pytest.mark.parametrize("url", ["tcp://a", "tcp://:1", "tcp://[::1", "tcp://a:99999", ""])
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(Unserviceable):
        stream_endpoints(SERVICE, config(url), origins())
    with pytest.raises(Unserviceable):
        datagram_endpoints(SERVICE, config(url), origins())


def test_no_configuration() -> None:
    for made in (None, core.ServiceSpecConfig()):
        with pytest.raises(Unserviceable):
            stream_endpoints(SERVICE, made, origins())
        with pytest.raises(Unserviceable):
            datagram_endpoints(SERVICE, made, origins())


def test_a_container() -> None:
    made = core.ServiceSpecConfig()
    made.upstream.container.port = 80
    (one,) = stream_endpoints(SERVICE, made, origins())
    assert (str(one), one.tls) == ("10.43.0.9:80", None)
    assert datagram_endpoints(SERVICE, made, origins()) == [one]
    made.tls.insecure_skip_verify = True
    (one,) = stream_endpoints(SERVICE, made, origins())
    assert one.tls is not None
