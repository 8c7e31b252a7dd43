from __future__ import annotations

import pytest

from tests.schema.validation.world import World, service


def namespace(name: str) -> str:
    return f"kind: Namespace\nmetadata: {{name: {name}}}\nspec: {{}}\n"


@pytest.mark.parametrize("name", ["octelium", "octelium-x", "local", "localhost", "cordium-1"])
def test_reserved_names(world: World, name: str) -> None:
    assert world.refusal(namespace(name)).path == "metadata.name"


def test_the_host_name_of_a_service_is_taken(world: World) -> None:
    world.apply(service("{mode: WEB, config: {upstream: {url: 'http://h'}}}", name="wiki"))
    refused = world.refusal(namespace("wiki"))
    assert refused.path == "metadata.name"
    assert "wiki.default has the same host name" in refused.problem


def test_existing_namespaces_are_updated_whatever_their_name(world: World) -> None:
    [own] = world.read(namespace("octelium"))
    world.put(own)
    world.validate(own, old=own)


def test_authorization(world: World) -> None:
    refused = world.refusal(
        "kind: Namespace\nmetadata: {name: aa}\nspec: {authorization: {policies: [gone]}}\n"
    )
    assert (refused.path, refused.problem) == (
        "spec.authorization.policies[0]",
        "there is no Policy 'gone'",
    )
