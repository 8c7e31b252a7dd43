from __future__ import annotations

import ssl
from typing import Any

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.errors import Absence, NotReady, Unserviceable
from octelium.vigil.origins import Origins, Upstream
from tests.http import certs
from tests.vigil.world import MODES, secret, service

CLIENT = certs.issue("client", issuer=certs.ca(), client=True)
SECRETS = {
    "client": secret("client", CLIENT.key, CLIENT.chain),
    "half": secret("half", CLIENT.key),
    "wrong": secret("wrong", CLIENT.key, certs.server("a.example").chain),
}


class Nowhere:
    def url(self, service: core.Service, config: core.ServiceSpecConfig) -> str:
        raise NotReady(Absence.STARTING)


def find(name: str) -> core.Secret:
    if name not in SECRETS:
        raise Unserviceable(f"Secret {name} does not exist", 502)
    return SECRETS[name]


def upstreams(config: core.ServiceSpecConfig, mode: int = MODES.HTTP) -> list[Upstream]:
    return Origins(find, Nowhere()).upstreams(service(mode=mode), config)


def config(url: str = "", **tls: Any) -> core.ServiceSpecConfig:
    made = core.ServiceSpecConfig()
    if url:
        made.upstream.url = url
    if tls:
        made.tls.CopyFrom(core.ServiceSpecConfigTls(**tls))
    return made


@pytest.mark.parametrize(
    ("url", "host", "port", "secure", "h2", "authority"),
    [
        ("http://a.example", "a.example", 80, False, False, b"a.example"),
        ("http://A.Example:8080/ignored?x", "a.example", 8080, False, False, b"a.example:8080"),
        ("https://a.example", "a.example", 443, True, False, b"a.example"),
        ("https://a.example:443", "a.example", 443, True, False, b"a.example"),
        ("http://a.example:443", "a.example", 443, False, False, b"a.example:443"),
        ("ws://a.example", "a.example", 80, False, False, b"a.example"),
        ("wss://a.example", "a.example", 443, True, False, b"a.example"),
        ("h2c://a.example:9", "a.example", 9, False, True, b"a.example:9"),
        ("grpc://a.example:9", "a.example", 9, False, True, b"a.example:9"),
        ("tcp://a.example:9", "a.example", 9, False, False, b"a.example:9"),
        ("http://[2001:db8::1]:81", "2001:db8::1", 81, False, False, b"[2001:db8::1]:81"),
    ],
)
def test_urls(url: str, host: str, port: int, secure: bool, h2: bool, authority: bytes) -> None:
    (one,) = upstreams(config(url))
    origin = one.origin
    assert (origin.host, origin.port, origin.tls is not None, origin.h2) == (host, port, secure, h2)
    assert one.authority == authority
    assert origin.server_name == (host if secure else None)


@pytest.mark.parametrize("url", ["http://", "http://a:99999", "http://[::1", "tcp://a", "a"])
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(Unserviceable) as caught:
        upstreams(config(url))
    assert caught.value.status == 502


def test_grpc_is_http_2() -> None:
    (one,) = upstreams(config("http://a"), MODES.GRPC)
    assert one.origin.h2
    made = config("http://a")
    made.http.is_upstream_http2 = True
    assert upstreams(made)[0].origin.h2


def test_upgrades_need_a_connection_that_is_not_http_2() -> None:
    made = config("https://a")
    made.http.is_upstream_http2 = True
    origin = upstreams(made)[0].origin
    assert origin.upgrade_tls is not None
    assert origin.upgrade_tls is not origin.tls
    assert upstreams(config("https://a"))[0].origin.upgrade_tls is None


def test_all_endpoints() -> None:
    made = core.ServiceSpecConfig()
    for port in (1, 2, 3):
        made.upstream.loadbalance.endpoints.add(url=f"http://a:{port}")
    assert [one.origin.port for one in upstreams(made)] == [1, 2, 3]


def test_upstreams_that_clients_serve() -> None:
    served = config("http://a")
    served.upstream.user = "alice"
    balanced = core.ServiceSpecConfig()
    balanced.upstream.user = "alice"
    balanced.upstream.loadbalance.endpoints.add(url="https://a", user="bob")
    balanced.upstream.loadbalance.endpoints.add(url="https://b")
    assert [(one.user, one.authority) for one in upstreams(served)] == [("alice", b"a")]
    assert [(one.user, one.origin.server_name) for one in upstreams(balanced)] == [
        ("bob", "a"),
        ("alice", "b"),
    ]


def test_upstreams_that_cannot_be_reached() -> None:
    container = core.ServiceSpecConfig()
    container.upstream.container.image = "nginx"
    with pytest.raises(NotReady):
        upstreams(container)
    with pytest.raises(Unserviceable, match="no upstream"):
        upstreams(core.ServiceSpecConfig())


def test_verification() -> None:
    (one,) = upstreams(config("https://a"))
    assert one.origin.tls is not None
    assert one.origin.tls.verify_mode is ssl.CERT_REQUIRED
    assert one.origin.tls.check_hostname
    assert one.origin.tls.minimum_version == ssl.TLSVersion.TLSv1_2
    (two,) = upstreams(config("https://a", insecure_skip_verify=True))
    assert two.origin.tls is not None
    assert two.origin.tls.verify_mode is ssl.CERT_NONE
    assert one.origin != two.origin


def test_trusted_authorities_replace_the_system_s_unless_they_are_added() -> None:
    pem = certs.ca().chain.decode()
    (only,) = upstreams(config("https://a", trusted_c_as=[pem]))
    (both,) = upstreams(config("https://a", trusted_c_as=[pem], append_to_system_pool=True))
    assert only.origin.tls is not None
    assert both.origin.tls is not None
    assert len(only.origin.tls.get_ca_certs()) == 1
    assert only.origin.tls_key != both.origin.tls_key
    with pytest.raises(Unserviceable, match="trusted CA"):
        upstreams(config("https://a", trusted_c_as=["rubbish"]))


def test_equal_settings_share_a_context() -> None:
    origins, owner = Origins(find, Nowhere()), service()
    one, two = (origins.upstreams(owner, config("https://a"))[0].origin for _ in range(2))
    assert one.tls is two.tls
    assert one == two
    assert one.owner == owner.metadata.uid


def test_client_certificates() -> None:
    made = config("https://a")
    made.tls.client_certificate.from_secret = "client"
    (one,) = upstreams(made)
    assert one.origin.tls_key != upstreams(config("https://a"))[0].origin.tls_key
    for name, problem in (("none", "does not exist"), ("half", "holds no"), ("wrong", "is no")):
        made.tls.client_certificate.from_secret = name
        with pytest.raises(Unserviceable, match=problem) as caught:
            upstreams(made)
        assert caught.value.status == 502


def test_the_deprecated_place_of_client_certificates_wins() -> None:
    made = config("tcp://a:9")
    made.client_certificate.from_secret = "client"
    made.tls.client_certificate.from_secret = "none"
    (one,) = upstreams(made)
    assert one.origin.tls is not None
