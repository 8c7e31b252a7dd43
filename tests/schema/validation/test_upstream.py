from __future__ import annotations

from typing import Any

import pytest

from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.upstream import upstream_port, upstream_users
from tests.schema.validation.world import World, service


def upstream(**parts: Any) -> core.ServiceSpecConfigUpstream:
    return from_json(core.ServiceSpecConfigUpstream, parts)


@pytest.mark.parametrize(
    ("made", "port"),
    [
        (upstream(url="http://h"), 80),
        (upstream(url="https://h"), 443),
        (upstream(url="tcp://h:7"), 7),
        (upstream(url="tcp://h"), None),
        (upstream(loadbalance={"endpoints": [{"url": "http://h:1"}, {"url": "http://h:2"}]}), 1),
        (upstream(loadbalance={}), None),
        (upstream(container={"port": 9}), 9),
        (upstream(container={}), None),
        (upstream(), None),
    ],
)
def test_ports(made: core.ServiceSpecConfigUpstream, port: int | None) -> None:
    assert upstream_port(made) == port


def test_users_who_serve() -> None:
    endpoints = {"endpoints": [{"url": "x", "user": "a"}, {"url": "y"}, {"url": "z", "user": "b"}]}
    assert upstream_users(upstream(loadbalance=endpoints)) == ["a", "b"]
    assert upstream_users(upstream(user="c", url="x")) == ["c"]
    assert upstream_users(upstream(url="x")) == []


def endpoints(*urls: str, port: str = "") -> str:
    listed = ", ".join(f"{{url: '{url}'}}" for url in urls)
    return service(
        f"{{mode: TCP, {port} config: {{upstream: {{loadbalance: {{endpoints: [{listed}]}}}}}}}}"
    )


def test_endpoints_stand_in_for_each_other(world: World) -> None:
    place = "spec.config.upstream.loadbalance.endpoints"
    world.apply(endpoints("http://a:1", "http://b:1"))
    world.apply(endpoints("http://a:1", "http://b:2", port="port: 5,"))
    assert world.refusal(endpoints("http://a:1", "http://b:2")).path == f"{place}[1].url"
    assert world.refusal(endpoints("http://a:1", "https://b:1")).path == f"{place}[1].url"
    assert world.refusal(endpoints()).path == place
    assert world.refusal(endpoints(*["http://a"] * 101)).path == place
    assert world.refusal(endpoints("http://a", "b")).path == f"{place}[1].url"


def test_users_of_upstreams_exist(world: World) -> None:
    text = service("{mode: TCP, config: {upstream: {url: 'http://h', user: gone}}}")
    assert world.refusal(text).problem == "there is no User 'gone'"
