from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def user(duration: str) -> str:
    return (
        "kind: User\nmetadata: {name: bob}\n"
        f"spec: {{type: WORKLOAD, session: {{clientDuration: {duration}}}}}\n"
    )


@pytest.mark.parametrize(
    "duration", ["{seconds: 1}", "{milliseconds: 1000}", "{months: 1200}", "{days: 36000}"]
)
def test_lengths(world: World, duration: str) -> None:
    world.apply(user(duration))


@pytest.mark.parametrize(
    "duration",
    ["{}", "{seconds: 0}", "{milliseconds: 999}", "{months: 1201}", "{weeks: 4294967295}"],
)
def test_bad_lengths(world: World, duration: str) -> None:
    assert world.refusal(user(duration)).path == "spec.session.clientDuration"
