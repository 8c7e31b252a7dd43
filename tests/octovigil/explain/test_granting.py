"""Grants as remedies: the command that is named makes what was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.cli import grant
from octelium.octovigil.explain import granting
from octelium.schema.jsonform import from_json, to_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.explain.asking import changed, http
from tests.octovigil.world import World, allow, inline, uid_of

if TYPE_CHECKING:
    from octelium.replica.replica import Entry

GRANT = "let User ann use Service wiki.default: octeliumctl grant ann wiki"


def user(world: World) -> Entry[Any]:
    return world.replica.users_by_name["ann"]


@pytest.mark.parametrize("path", ["", "/albums", "/a b/", '/"quoted"'])
def test_it_is_what_the_command_makes(path: str) -> None:
    matches = grant._matches("ann", uid_of("User", "ann"), path or None, None, read_only=False)
    assert granting.inline_policy(user(World()), path) == to_json(grant._policy("ann", matches))


def test_a_grant_of_a_path_is_known_as_one() -> None:
    made = from_json(core.InlinePolicy, granting.inline_policy(user(World()), "/albums"))
    assert grant._is_grant(made, "ann")


def test_the_path_that_is_asked_for() -> None:
    world = World()
    world.policy("all", allow())
    assert changed(world, http("/albums/7")) == [
        f"{GRANT} --path /albums/7 (all of it: without --path)"
    ]
    assert changed(world, http("/a b")) == [f"{GRANT} --path '/a b' (all of it: without --path)"]
    assert changed(world, http("/")) == [GRANT]
    assert changed(world, http("/" + "x" * 200)) == [GRANT]
    assert changed(world, http("/\x1b[0m")) == [GRANT]


def test_an_earlier_grant_is_replaced_by_all_of_the_service() -> None:
    world = World()
    earlier = granting.inline_policy(user(world))
    rule = earlier["spec"]["rules"][0]
    rule["condition"]["all"]["of"].append({"match": 'now() < timestamp("2020-01-01T00:00:00Z")'})
    world.service("wiki.default", authorization={"inlinePolicies": [earlier]})
    assert changed(world, http("/other")) == [GRANT]


def test_what_somebody_wrote_by_hand_is_left_alone() -> None:
    world = World()
    written = inline(allow("ctx.request.http.path == '/x'"))["inlinePolicies"][0]
    written["name"] = "grant-ann"
    world.service("wiki.default", authorization={"inlinePolicies": [written]})
    assert changed(world, http("/y", "PUT")) != [GRANT]


def test_other_namespaces_are_named() -> None:
    world = World()
    world.put("Namespace", "prod")
    world.service("api.prod")
    edits = changed(world, service="api.prod")
    assert edits == ["let User ann use Service api.prod: octeliumctl grant ann api.prod"]
