from __future__ import annotations

import pytest

from octelium.http.pool import UpstreamPool
from octelium.http.section import SectionCache
from octelium.http.ticker import Ticker
from octelium.policy.value import compile_value
from octelium.replica.replica import Replica
from octelium.vigil.environment import Environment
from octelium.vigil.errors import Unserviceable
from tests.vigil.world import DOMAIN, Feed, secret, service


def make(replica: Replica, port: int = 443) -> Environment:
    return Environment(
        replica,
        UpstreamPool(sections=SectionCache(), ticker=Ticker()),
        managed={},
        compile_expression=lambda text: compile_value(text).json,
        port=port,
    )


def test_names() -> None:
    environment = make(Feed().replica)
    assert environment.domain == DOMAIN
    assert environment.public_host(service("wiki.default")) == f"wiki.{DOMAIN}"
    assert environment.public_host(service("default.default")) == DOMAIN
    assert environment.canonical_host(service("wiki.default")) == f"wiki.default.{DOMAIN}"
    assert environment.url("a") == "https://a"
    assert make(Feed().replica, 8443).url("a") == "https://a:8443"
    assert make(Replica()).domain == ""


def test_secrets() -> None:
    feed = Feed()
    feed.put(secret("key", b"v"), secret("empty", b""), secret("file", b"from a file\r\n"))
    environment = make(feed.replica)
    assert environment.secret_value("key") == b"v"
    assert environment.secret_value("file") == b"from a file"
    for name in ("none", "empty"):
        with pytest.raises(Unserviceable, match=name) as caught:
            environment.secret_value(name)
        assert caught.value.status == 502


@pytest.mark.parametrize("name", ["crt-ns-default", "crt-ns-mine", "sys:root-secret-1"])
def test_secrets_of_the_cluster_by_their_names(name: str) -> None:
    feed = Feed()
    feed.put(secret(name, b"private key"))
    with pytest.raises(Unserviceable, match="does not exist") as caught:
        make(feed.replica).secret(name)
    assert caught.value.status == 502


@pytest.mark.parametrize("mark", ["is_system", "is_system_hidden"])
def test_secrets_of_the_cluster_by_their_marks(mark: str) -> None:
    feed = Feed()
    made = secret("key", b"private key")
    setattr(made.metadata, mark, True)
    feed.put(made)
    with pytest.raises(Unserviceable, match="does not exist"):
        make(feed.replica).secret_value("key")


def test_expressions() -> None:
    environment = make(Feed().replica)
    assert environment.expression('ctx.a + "c"')({"a": "b"}) == "bc"
    with pytest.raises(Unserviceable, match="expression"):
        environment.expression("1 +")


def test_a_name_against_loops() -> None:
    pseudonym = make(Feed().replica).pseudonym
    assert pseudonym == make(Feed().replica).pseudonym
    assert len(pseudonym) == 12
    assert make(Replica()).pseudonym == b""
