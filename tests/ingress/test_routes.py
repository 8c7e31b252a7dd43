from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.http.h1.requests import parse_request
from octelium.http.section import parse_section
from octelium.ingress.routes import Routes
from octelium.replica.replica import Replica
from tests.vigil.world import DOMAIN, MODES, Feed, service

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core


def api(name: str, paths: str) -> core.Service:
    made = service(name, mode=MODES.GRPC)
    made.metadata.system_labels["octelium-apiserver"] = "true"
    made.metadata.system_labels["apiserver-path"] = paths
    return made


@pytest.fixture
def feed() -> Feed:
    made = Feed()
    made.put(
        service("default.default"),
        service("wiki.default"),
        service("default.prod"),
        service("web.prod"),
        service("secret.default", is_public=False),
        api("default.octelium-api", "/octelium.api.main.core, /octelium.api.main.user"),
        api("auth.octelium-api", "/octelium.api.main.auth"),
    )
    return made


def find(routes: Routes, host: str, target: str = "/") -> str | None:
    section = parse_section(f"Host: {host}\r\n".encode())
    head = parse_request(f"GET {target} HTTP/1.1".encode(), section, b"https")
    entry = routes.find(head.authority, head.target)
    return None if entry is None else entry.name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (DOMAIN, "default.default"),
        (f"default.default.{DOMAIN}", "default.default"),
        (f"wiki.{DOMAIN}", "wiki.default"),
        (f"WIKI.default.{DOMAIN}:8443", "wiki.default"),
        (f"prod.{DOMAIN}", "default.prod"),
        (f"default.prod.{DOMAIN}", "default.prod"),
        (f"web.prod.{DOMAIN}", "web.prod"),
        (f"web.{DOMAIN}", None),
        (f"default.{DOMAIN}", None),
        (f"secret.{DOMAIN}", None),
        (f"none.{DOMAIN}", None),
        (f"a.wiki.{DOMAIN}", None),
        ("wiki.other", None),
        (f"auth.octelium-api.{DOMAIN}", None),
    ],
)
def test_hosts(feed: Feed, host: str, name: str | None) -> None:
    assert find(Routes(feed.replica), host) == name


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/octelium.api.main.core.v1.MainService/ListUser", "default.octelium-api"),
        ("/octelium.api.main.user.v1.MainService/X", "default.octelium-api"),
        ("/octelium.api.main.auth.v1.MainService/X", "auth.octelium-api"),
        ("/octelium.api.main.authority.v1.MainService/X", None),
        ("/octelium.api.main.cordium.v1.MainService/X", None),
        ("/", None),
        ("/octelium.api.main.auth/../octelium.api.main.core.v1.MainService/X", None),
        ("/octelium.api.main.auth/%2e%2e/octelium.api.main.core.v1.MainService/X", None),
        ("/octelium.api.main.%61uth.v1.MainService/X", None),
        ("/octelium.api.main.auth/..%2foctelium.api.main.core.v1.MainService/X", None),
    ],
)
def test_the_api_by_path(feed: Feed, target: str, name: str | None) -> None:
    assert find(Routes(feed.replica), f"octelium-api.{DOMAIN}", target) == name


def test_no_service_can_take_the_api_s_name(feed: Feed) -> None:
    feed.put(service("octelium-api.default"))
    assert find(Routes(feed.replica), f"octelium-api.{DOMAIN}") is None


def test_names_below_a_service(feed: Feed) -> None:
    made = service("ide.default")
    made.status.managed_service.has_subdomain = True
    feed.put(made)
    routes = Routes(feed.replica)
    assert find(routes, f"abc.ide.{DOMAIN}") == "ide.default"
    assert find(routes, f"a.b.ide.{DOMAIN}") is None
    assert find(routes, f"abc.wiki.{DOMAIN}") is None


def test_changes_count_at_once(feed: Feed) -> None:
    routes = Routes(feed.replica)
    assert find(routes, f"new.{DOMAIN}") is None
    made = service("new.default")
    feed.put(made)
    assert find(routes, f"new.{DOMAIN}") == "new.default"
    made.spec.is_public = False
    feed.put(made)
    assert find(routes, f"new.{DOMAIN}") is None
    made.spec.is_public = True
    feed.put(made)
    feed.delete(made)
    assert find(routes, f"new.{DOMAIN}") is None
    feed.config.status.domain = "moved.test"
    feed.put(feed.config)
    assert find(routes, "wiki.moved.test") == "wiki.default"
    assert find(routes, f"wiki.{DOMAIN}") is None


def test_the_api_s_own_name(feed: Feed) -> None:
    assert Routes(feed.replica).api_host == f"octelium-api.{DOMAIN}".encode()
    assert Routes(Replica()).api_host == b""


def test_an_empty_replica() -> None:
    assert find(Routes(Replica()), f"wiki.{DOMAIN}") is None


def test_closing(feed: Feed) -> None:
    routes = Routes(feed.replica)
    routes.close()
    assert feed.replica.listeners == []
