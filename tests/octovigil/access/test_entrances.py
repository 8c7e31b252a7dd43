"""Where somebody may begin in a Service of which only some paths are open."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.access.entrances import entrances
from octelium.octovigil.access.listing import list_for_session
from tests.octovigil.world import World, allow, deny, uid_of

SESSION = uid_of("Session", "ann-1")


def found(*rules: dict[str, Any], go_on: bool = True, **spec: Any) -> dict[str, str]:
    world = World()
    authorization = {"inlinePolicies": [{"spec": {"rules": list(rules)}}]}
    world.service("wiki.default", authorization=authorization, **spec)
    items = list_for_session(world.replica, SESSION, clock=world.clock)
    return entrances(world.replica, SESSION, items, world.now, lambda: go_on)


@pytest.mark.parametrize(
    ("match", "path"),
    [
        ('ctx.request.http.path.startsWith("/docs")', "/docs"),
        ('ctx.request.http.path == "/a b" || ctx.request.http.path.startsWith("/a b/")', "/a b"),
        ("ctx.request.http.path in ['/x', '/y']", "/x"),
        ('ctx.request.http.path.startsWith("/api") && ctx.request.http.method == "GET"', "/api"),
    ],
)
def test_a_constant_of_a_condition(match: str, path: str) -> None:
    assert found(allow(match)) == {"wiki.default": path}


@pytest.mark.parametrize(
    "match",
    [
        '!ctx.request.http.path.startsWith("/admin")',  # `/` is open
        'ctx.request.http.path.matches("^/docs")',
        'ctx.request.http.path.startsWith("/api") && ctx.request.http.method == "POST"',
        'ctx.request.http.path.startsWith("docs")',
        'ctx.request.http.method == "GET"',
    ],
)
def test_where_none_is_told(match: str) -> None:
    assert found(allow(match)) == {}


def test_what_is_told_is_decided_on() -> None:
    docs = 'ctx.request.http.path.startsWith("/docs")'
    private = 'ctx.request.http.path == "/docs" || ctx.request.http.path == "/docs/x"'
    other = 'ctx.request.http.path.startsWith("/help")'
    assert found(deny(private), allow(docs), allow(other)) == {"wiki.default": "/help"}


def test_only_pages_in_a_browser() -> None:
    rule = allow('ctx.request.http.path.startsWith("/docs")')
    assert found(rule, isPublic=False) == {}
    assert found(rule, go_on=False) == {}
