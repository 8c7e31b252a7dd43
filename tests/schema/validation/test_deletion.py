from __future__ import annotations

from typing import Any

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.validation.deletion import check_deletion
from tests.schema.validation.world import World, service


@pytest.fixture
def crowded(world: World) -> World:
    world.apply(
        service("{mode: WEB, config: {upstream: {url: 'http://h'}}}", name="wiki.prod")
        + "---\nkind: User\nmetadata: {name: bob}\nspec: {type: HUMAN, groups: [ops]}\n"
        "---\nkind: Policy\nmetadata: {name: eu.allow-all}\nspec: {}\n"
    )
    return world


@pytest.mark.parametrize(
    ("kind", "name", "dependent", "what"),
    [
        ("Namespace", "prod", ("Service", "wiki.prod"), "the Service 'wiki.prod'"),
        ("Group", "ops", ("User", "bob"), "the User 'bob'"),
        ("Policy", "allow-all", ("Policy", "eu.allow-all"), "the child 'eu.allow-all'"),
    ],
)
def test_what_others_depend_on_stays(
    crowded: World, kind: str, name: str, dependent: tuple[str, str], what: str
) -> None:
    resource: Any = crowded.get(kind, name)
    with pytest.raises(Invalid, match=what):
        check_deletion(resource, crowded)
    del crowded.resources[dependent]
    check_deletion(resource, crowded)


def test_nothing_else_is_held_back(crowded: World) -> None:
    for (kind, name), resource in crowded.resources.items():
        if (kind, name) not in {("Namespace", "prod"), ("Group", "ops"), ("Policy", "allow-all")}:
            check_deletion(resource, crowded)


def test_a_name_that_only_ends_alike_is_no_child(world: World) -> None:
    world.apply("kind: Policy\nmetadata: {name: not-allow-all}\nspec: {}\n")
    check_deletion(world.get("Policy", "allow-all"), world)
