from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from octelium.policy import rules_context
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.shape.contexts import Context, Setting
from octelium.schema.pb import core_v1_pb2 as core
from tests.policy.lint.generated import fill

if TYPE_CHECKING:
    from octelium.policy.shape.shape import Shape


def filled(message: Any) -> Any:
    return fill(message, random.Random(7))


def contexts() -> list[tuple[Setting, dict[str, Any]]]:
    user, provider = filled(core.User()), filled(core.IdentityProvider())
    session, info = filled(core.Session()), filled(core.SessionStatusAuthenticationInfo())
    authenticators = core.AuthenticatorList(items=[filled(core.Authenticator())])
    return [
        (Setting.ASSERTION, rules_context.of_assertion({"acr": 1, "amr": ["mfa"]}, "<saml/>")),
        (Setting.LOGIN, rules_context.of_login(user, provider, info)),
        (
            Setting.ENFORCEMENT,
            rules_context.of_enforcement(user, provider, session, authenticators),
        ),
        (
            Setting.AUTHENTICATOR,
            rules_context.of_authentication(authenticators.items[0], user, session, info),
        ),
    ]


def fits(value: object, shape: Shape, path: str) -> None:
    """Whatever stands in a context has its place in the shape."""
    if shape.members is not None:
        assert isinstance(value, dict), path
        for name, item in value.items():
            member = shape.members.get(name)
            assert member is not None, f"{path}.{name}"
            fits(item, member, f"{path}.{name}")
    elif shape.item is not None and isinstance(value, list):
        for item in value:
            fits(item, shape.item, f"{path}[]")
    elif shape.values:
        assert value in shape.values, path


@pytest.mark.parametrize(("setting", "ctx"), contexts())
def test_contexts_have_their_shapes(setting: Setting, ctx: dict[str, Any]) -> None:
    shape = Context(setting).shape
    assert shape.members is not None
    assert set(ctx) == set(shape.members.names())
    fits(ctx, shape, "ctx")


def test_assertions() -> None:
    ctx = rules_context.of_assertion({"acr": 2, "amr": ["pwd", "mfa"]})
    assert "assertion" not in ctx
    program = compile_program('ctx.assertionMap.acr * 2.0 == 4.0 && "mfa" in ctx.assertionMap.amr')
    assert program.evaluate(new_frame(ctx)) is True
