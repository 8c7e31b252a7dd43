from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.tunnel.errors import WantedError
from octelium.client.tunnel.wanted import (
    KEEPALIVE,
    Publication,
    Wanted,
    any_port_start,
    keepalive_of,
    mtu_of,
    parse_publication,
    parse_range,
    served_name,
)
from octelium.schema.pb import user_v1_pb2 as user


@pytest.mark.parametrize(
    ("text", "service", "address", "port"),
    [
        ("wiki:8080", "wiki.default", "localhost", 8080),
        ("db.ops:5432", "db.ops", "localhost", 5432),
        ("db.ops:localhost:5432", "db.ops", "localhost", 5432),
        ("db.ops:127.0.0.2:1", "db.ops", "127.0.0.2", 1),
        ("db:[::1]:65535", "db.default", "::1", 65535),
        ("db:[fe80:0::1]:1", "db.default", "fe80::1", 1),
    ],
)
def test_publications(text: str, service: str, address: str, port: int) -> None:
    assert parse_publication(text) == Publication(service, address, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wiki",
        ":80",
        "wiki:",
        "wiki:0",
        "wiki:65536",
        "wiki:+80",
        "wiki:٣",
        "wiki::80",
        "a.b.c:80",
        "wiki.:80",
        "WIKI!:80",
        "svc3:ns1:9090",
        "wiki:::1:80",
        "wiki:[127.0.0.1]:80",
        "wiki:[]:80",
        "wiki:example.com:80",
    ],
)
def test_what_is_no_publication(text: str) -> None:
    with pytest.raises(WantedError) as caught:
        parse_publication(text)
    assert text in str(caught.value) or repr(text) in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_a_publication_or_refused(text: str) -> None:
    try:
        found = parse_publication(text)
    except WantedError:
        return
    assert 0 < found.port < 65_536
    assert parse_publication(f"{found.service}:{found}") == found


def test_who_else_can_come_there() -> None:
    assert not parse_publication("wiki:80").is_open
    assert not parse_publication("wiki:127.0.0.9:80").is_open
    assert parse_publication("wiki:0.0.0.0:80").is_open
    assert parse_publication("wiki:[::]:80").is_open
    assert parse_publication("wiki:80").addresses == ("127.0.0.1", "::1")


def test_the_first_message() -> None:
    wanted = Wanted(
        publish=(Publication("wiki.default", "localhost", 8080),),
        serve=("home.default",),
        no_dns=True,
        port_start=20_500,
    )
    first = wanted.initialize("v6").initialize
    assert first.l3_mode == user.ConnectRequestInitializeL3Mode__.V6
    assert first.ignore_dns
    assert [each.name for each in first.service_options.services] == ["home.default"]
    assert first.service_options.port_start == 20_500
    (published,) = first.published_services
    assert (published.name, published.port, published.address) == (
        "wiki.default",
        8080,
        "localhost",
    )
    assert not Wanted().initialize("v4").initialize.HasField("service_options")
    assert Wanted(serve_all=True).initialize("v4").initialize.service_options.serve_all


def test_which_families_are_asked_for() -> None:
    assert Wanted().modes == ("both", "v4", "v6")
    assert Wanted(ip_mode="v6").modes == ("v6",)
    assert Wanted(has_ipv6=False).modes == ("v4",)


def test_names_to_serve() -> None:
    assert served_name("home") == "home.default"
    assert served_name("home.ops") == "home.ops"
    for text in ("", "a.b.c", "a b", "."):
        with pytest.raises(WantedError, match="not the name of a Service"):
            served_name(text)


def test_ports_by_chance() -> None:
    found = {any_port_start() for _ in range(50)}
    assert len(found) > 1
    assert all(20_000 <= port < 24_000 for port in found)


def test_variables() -> None:
    assert (mtu_of({}), keepalive_of({})) == (None, KEEPALIVE)
    assert mtu_of({"OCTELIUM_MTU": "1400"}) == 1400
    assert keepalive_of({"OCTELIUM_KEEPALIVE": "0"}) == 0
    for name, text in (("OCTELIUM_MTU", "1279"), ("OCTELIUM_MTU", "x")):
        with pytest.raises(WantedError, match=name):
            mtu_of({name: text})
    with pytest.raises(WantedError, match="OCTELIUM_KEEPALIVE"):
        keepalive_of({"OCTELIUM_KEEPALIVE": "-1"})


def test_what_may_be_served() -> None:
    assert Wanted(serve_all=True).is_served("a.default")
    some = Wanted(serve=("a.default", "b.ops"))
    names = ("a.default", "a", "b.ops", "b", "b.default", "", "c.default")
    assert [name for name in names if some.is_served(name)] == ["a.default", "a", "b.ops"]
    assert not Wanted().is_served("a.default")


@pytest.mark.parametrize("text", ["", "here", "8.8.8.8/8", "0.0.0.0/0", "::/0", "8.8.8.0/33"])
def test_a_range_that_is_none(text: str) -> None:
    with pytest.raises(WantedError, match="--allow-range"):
        parse_range(text)


def test_a_range() -> None:
    assert parse_range("203.0.113.0/24") == "203.0.113.0/24"
    assert parse_range("203.0.113.7") == "203.0.113.7/32"
    assert parse_range("2001:DB8::/32") == "2001:db8::/32"
