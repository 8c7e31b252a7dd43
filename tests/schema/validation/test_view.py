from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octelium.schema.validation.view import ExpressionChecker, View
    from tests.schema.validation.world import World


def test_the_tests_have_what_is_asked_of_the_store_and_of_the_compiler(world: World) -> None:
    view: View = world
    checker: ExpressionChecker = world
    assert view.get("User", "alice") is not None
    assert view.get("User", "nobody") is None
    assert len(list(view.list("Namespace"))) == 2
    [alice] = view.labelled("User", "email", "alice-acme-test")
    assert alice.metadata.name == "alice"
    checker.check_cel("true", "spec")
    assert world.checked[-1] == "spec"
