"""The Cluster that the examples of IdentityProviders are applied to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.identity_providers.world import PEOPLE, address, open_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.identity_providers.world import World


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One per test process, with its people and what they open."""
    with open_world(tmp_path_factory.mktemp("examples")) as made:
        people = [
            f"kind: User\nmetadata: {{name: {name}}}\nspec: {{type: HUMAN, email: {address(name)}}}"
            for name in PEOPLE
        ]
        made.apply("\n---\n".join([*people, made.service("wiki")]))
        for name, value in (
            ("oidc-secret", made.oidc.client_secret),
            ("github-secret", made.github.client_secret),
        ):
            made.octeliumctl("create", "secret", name, "--value", value)
        yield made


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """Without the IdentityProviders of other tests."""
    yield shared_world
    shared_world.clean()
